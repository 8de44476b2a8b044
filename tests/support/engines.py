"""One PostgreSQL and one Redis for the whole run: embedded, from PATH, or by URL; never skipped."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis

# A test's data need not outlive the machine.
FAST_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
FAST_REDIS = {"appendfsync": "no"}


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield a server's URL: STEPUP_TEST_POSTGRES, or one started for this."""
    given = os.environ.get("STEPUP_TEST_POSTGRES")
    if given:
        yield given
        return
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, FAST_POSTGRES)
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def running_redis() -> Iterator[str]:
    """Yield a server's URL: STEPUP_TEST_REDIS, or one started for this."""
    given = os.environ.get("STEPUP_TEST_REDIS")
    if given:
        yield given
        return
    with temporary_directory() as directory:
        server = EmbeddedRedis(directory, FAST_REDIS)
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Yield the URL of an empty database on a server, dropped at the end."""
    server = make_url(server_url).set(drivername="postgresql+psycopg")
    name = f"stepup_test_{secrets.token_hex(6)}"
    with psycopg.connect(_conninfo(server), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


@contextmanager
def temporary_directory() -> Iterator[DataDirectory]:
    """Yield a locked data directory that is removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="stepup-test-"))
    try:
        directory = DataDirectory(path)
        try:
            yield directory
        finally:
            directory.close()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
