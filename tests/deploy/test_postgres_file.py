"""`deploy/postgresql/stepup.conf`: a real server takes every line of it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from tests.support.engines import temporary_directory

FILE = Path(__file__).parents[2] / "deploy" / "postgresql" / "stepup.conf"

pytestmark = pytest.mark.postgres


def settings() -> dict[str, str]:
    return read(r"^(\w+) = (.+)$")


def switched_on_later() -> dict[str, str]:
    return read(r"^# (\w+) = (.+)$")


def read(pattern: str) -> dict[str, str]:
    lines = re.findall(pattern, FILE.read_text(), re.MULTILINE)
    return {name: value.strip("'") for name, value in lines}


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection]:
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, settings())
        try:
            socket = str(make_url(server.url).query["host"])
            with psycopg.connect(
                host=socket, user="stepup", dbname="stepup", autocommit=True
            ) as connection:
                yield connection
        finally:
            server.stop()


def test_a_server_takes_every_setting(connection):
    names = list(settings())
    rows = connection.execute(
        "SELECT name, source FROM pg_settings WHERE name = ANY(%s)", (names,)
    ).fetchall()
    assert {name for name, _ in rows} == set(names)
    assert {source for _, source in rows} == {"command line"}


def test_a_primary_without_a_standby_commits(connection):
    """The first role is created before there is a standby."""
    connection.execute("SET statement_timeout = '5s'")
    connection.execute("CREATE ROLE first")


def test_a_server_takes_what_is_switched_on_later(connection):
    ((name, value),) = switched_on_later().items()
    assert name == "synchronous_standby_names"
    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 5
    while connection.execute(f"SHOW {name}").fetchone() != (value,):
        assert time.monotonic() < deadline
        time.sleep(0.05)
