"""Databases with a schema, for the tests of the PostgreSQL adapter."""

import os
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb

from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.crypto import keys
from stepup.crypto.sealing import Sealer
from stepup.domain.audit import AuditEvent
from tests.support.determinism import NOON
from tests.support.engines import fresh_database

EMPTY = """
ALTER TABLE audit_event DISABLE TRIGGER USER;
TRUNCATE policy_version, policy_draft, policy_author, policy_approval, policy_shadow, client,
  authenticator, key, signing_key, audit_event, redemption, consumption, revocation, generation,
  decision, administrator, api_key, signal_stream, signal_event, signal_choice,
  signal_elevation, signal_place, signal_subject RESTART IDENTITY;
ALTER TABLE audit_event ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE audit_event ENABLE ALWAYS TRIGGER refuse_truncate;
UPDATE configuration_change SET version = 0;
"""
# The statement of release 0.1.0, which knew no chain.
WRITE_AS_BEFORE_THE_CHAIN = """
INSERT INTO audit_event
  (entry_id, kind, at, client_id, subject_id, action, challenge_id, details)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entry_id) DO NOTHING
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
async def root(postgres: PostgresDatabase, sealer: Sealer) -> bytes:
    """The root secret of the deployment, kept in the database."""
    secret = bytes(32)
    async with postgres.transaction() as stores:
        await stores.keys.add(keys.seal_root(secret, sealer, NOON))
    return secret


@pytest.fixture
def rows(schema_url: str) -> Iterator[psycopg.Connection]:
    """A connection of our own, to look at the tables and to tamper with them."""
    with psycopg.connect(libpq_url(schema_url), autocommit=True) as connection:
        yield connection


def write_as_before_the_chain(
    connection: psycopg.Connection, entry_id: str, event: AuditEvent
) -> None:
    values = [event.kind, event.at, event.client_id, event.subject_id, event.action]
    details = Jsonb(event.details)
    connection.execute(WRITE_AS_BEFORE_THE_CHAIN, [entry_id, *values, event.challenge_id, details])


def libpq_url(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
