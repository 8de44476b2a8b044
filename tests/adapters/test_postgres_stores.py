"""The database ports over PostgreSQL and in memory, held to the same promises."""

import msgspec
import pytest

from stepup.domain.audit import AuditEvent
from tests.contracts.audit import AuditStoreContract
from tests.contracts.authenticators import AuthenticatorStoreContract
from tests.contracts.clients import ClientStoreContract
from tests.contracts.keys import KeyStoreContract
from tests.contracts.policies import PolicyStoreContract
from tests.support.memory import memory_database

FIELDS = ("kind", "at", "client_id", "subject_id", "action", "challenge_id", "details")
READ_AUDIT_LOG = """
SELECT entry_id, kind, at, client_id, subject_id, action, challenge_id, details
FROM audit_event ORDER BY seq
"""


class InMemory:
    @pytest.fixture
    def database(self):
        return memory_database()


@pytest.mark.postgres
class OverPostgres:
    @pytest.fixture
    def database(self, postgres):
        return postgres


class TestMemoryPolicies(InMemory, PolicyStoreContract):
    pass


class TestPostgresPolicies(OverPostgres, PolicyStoreContract):
    pass


class TestMemoryClients(InMemory, ClientStoreContract):
    pass


class TestPostgresClients(OverPostgres, ClientStoreContract):
    pass


class TestMemoryAuthenticators(InMemory, AuthenticatorStoreContract):
    pass


class TestPostgresAuthenticators(OverPostgres, AuthenticatorStoreContract):
    pass


class TestMemoryKeys(InMemory, KeyStoreContract):
    pass


class TestPostgresKeys(OverPostgres, KeyStoreContract):
    pass


class TestMemoryAudit(InMemory, AuditStoreContract):
    @pytest.fixture
    def recorded(self, database):
        return lambda: list(database.tables.audit.items())


class TestPostgresAudit(OverPostgres, AuditStoreContract):
    @pytest.fixture
    def recorded(self, rows):
        def recorded():
            found = rows.execute(READ_AUDIT_LOG).fetchall()
            return [
                (entry_id, msgspec.convert(dict(zip(FIELDS, event, strict=True)), AuditEvent))
                for entry_id, *event in found
            ]

        return recorded
