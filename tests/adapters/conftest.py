"""Databases with a schema, for the tests of the PostgreSQL adapter."""

import os
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.crypto.sealing import Sealer
from tests.support.engines import fresh_database

EMPTY = """
TRUNCATE policy_version, client, authenticator, key, audit_event RESTART IDENTITY;
UPDATE configuration_change SET version = 0;
"""


@pytest.fixture
def sealer() -> Sealer:
    return Sealer({1: bytes(range(32))}, os.urandom)


@pytest.fixture(scope="session")
def migrated_url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def schema_url(migrated_url: str) -> str:
    """A database with the schema of this release and no rows."""
    with psycopg.connect(libpq_url(migrated_url), autocommit=True) as connection:
        connection.execute(EMPTY)
    return migrated_url


@pytest.fixture
async def postgres(schema_url: str, sealer: Sealer) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(schema_url, sealer)
    yield database
    await database.close()


@pytest.fixture
def rows(schema_url: str) -> Iterator[psycopg.Connection]:
    """A connection of our own, to look at the tables and to tamper with them."""
    with psycopg.connect(libpq_url(schema_url), autocommit=True) as connection:
        yield connection


def libpq_url(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
