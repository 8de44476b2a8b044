"""The database ports over PostgreSQL and in memory, held to the same promises."""

from datetime import timedelta

import msgspec
import psycopg
import pytest

from stepup.domain.audit import AuditEvent
from stepup.domain.policy_draft import digest_of
from stepup.ports import Lease
from tests.adapters.conftest import write_as_before_the_chain
from tests.contracts.administrators import AdministratorStoreContract, ApiKeyStoreContract
from tests.contracts.audit import AuditStoreContract
from tests.contracts.authenticators import AuthenticatorStoreContract
from tests.contracts.clients import ClientStoreContract
from tests.contracts.decisions import DecisionStoreContract
from tests.contracts.drafts import DraftStoreContract
from tests.contracts.generation_record import GenerationRecordContract
from tests.contracts.keys import KeyStoreContract
from tests.contracts.leases import LeaseStoreContract
from tests.contracts.policies import PolicyStoreContract
from tests.contracts.revocations import RevocationStoreContract
from tests.contracts.signals import (
    SignalQueueContract,
    SignalSourceContract,
    StreamStoreContract,
)
from tests.support.builders import an_authenticator
from tests.support.memory import MemoryGenerationRecord, memory_database
from tests.support.memory_database import event_of, record_of

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


class TestMemoryDrafts(InMemory, DraftStoreContract):
    pass


@pytest.mark.postgres
async def test_a_version_that_an_older_release_wrote_has_a_digest_all_the_same(postgres, rows):
    rows.execute(
        "INSERT INTO policy_version (version, document, author, activated_at) "
        "VALUES (1, 'Zwölf ☕', 'alice', now())"
    )
    async with postgres.transaction() as stores:
        found = await stores.policies.find_active()
        [header] = await stores.policies.page(before=2, count=1)
    assert found.digest == header.digest == digest_of("Zwölf ☕")
    assert (found.note, found.base, found.approvers) == ("", None, ())


class TestPostgresDrafts(OverPostgres, DraftStoreContract):
    pass


class TestMemoryClients(InMemory, ClientStoreContract):
    pass


class TestPostgresClients(OverPostgres, ClientStoreContract):
    pass


class TestMemoryAdministrators(InMemory, AdministratorStoreContract):
    pass


class TestPostgresAdministrators(OverPostgres, AdministratorStoreContract):
    pass


class TestMemoryApiKeys(InMemory, ApiKeyStoreContract):
    pass


class TestPostgresApiKeys(OverPostgres, ApiKeyStoreContract):
    pass


class TestMemoryStreams(InMemory, StreamStoreContract):
    pass


class TestPostgresStreams(OverPostgres, StreamStoreContract):
    pass


class TestMemorySignals(InMemory, SignalQueueContract):
    pass


class TestPostgresSignals(OverPostgres, SignalQueueContract):
    pass


class TestMemorySignalSource(InMemory, SignalSourceContract):
    pass


class TestPostgresSignalSource(OverPostgres, SignalSourceContract):
    async def test_a_name_is_forgotten_some_time_after_the_last_authenticator(self, postgres):
        first, second = an_authenticator(), an_authenticator()
        kept = an_authenticator()
        async with postgres.transaction() as stores:
            for each in (first, second, kept):
                await stores.authenticators.add(each)
        async with postgres.transaction() as stores:
            for each in (first, second):
                await stores.authenticators.remove(each.subject, each.id)
        async with postgres.transaction() as stores:
            # Who comes back is no longer gone.
            await stores.authenticators.add(msgspec.structs.replace(second, id="again"))
            later = await stores.keys.now() + timedelta(days=1)
            await stores.signal_source.forget_names(later - timedelta(days=2))
            assert await stores.signal_source.name(first.subject.id) == first.subject
            await stores.signal_source.forget_names(later)
            assert await stores.signal_source.name(first.subject.id) is None
            for each in (second, kept):
                assert await stores.signal_source.name(each.subject.id) == each.subject


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
        return lambda: [(r.entry_id, event_of(r)) for r in database.tables.audit.values()]

    @pytest.fixture
    def write_unchained(self, database):
        def write(entry_id, event):
            rows = database.tables.audit
            rows[entry_id] = record_of(len(rows) + 1, entry_id, event)

        return write


class TestPostgresAudit(OverPostgres, AuditStoreContract):
    @pytest.fixture
    async def database(self, postgres, root):
        return postgres

    @pytest.fixture
    def recorded(self, rows):
        def recorded():
            found = rows.execute(READ_AUDIT_LOG).fetchall()
            return [
                (entry_id, msgspec.convert(dict(zip(FIELDS, event, strict=True)), AuditEvent))
                for entry_id, *event in found
            ]

        return recorded

    @pytest.fixture
    def write_unchained(self, rows: psycopg.Connection):
        return lambda entry_id, event: write_as_before_the_chain(rows, entry_id, event)


class TestMemoryRevocations(InMemory, RevocationStoreContract):
    pass


class TestPostgresRevocations(OverPostgres, RevocationStoreContract):
    pass


class TestMemoryGenerationRecord(GenerationRecordContract):
    @pytest.fixture
    def record(self):
        return MemoryGenerationRecord()

    @pytest.fixture
    def elsewhere(self):
        return MemoryGenerationRecord()


@pytest.mark.postgres
class TestPostgresGenerationRecord(GenerationRecordContract):
    @pytest.fixture
    def record(self, postgres):
        return postgres.generations_of("r1")

    @pytest.fixture
    def elsewhere(self, postgres):
        return postgres.generations_of("r2")


class TestMemoryDecisions(InMemory, DecisionStoreContract):
    pass


class TestPostgresDecisions(OverPostgres, DecisionStoreContract):
    @pytest.fixture
    async def database(self, postgres):
        async with postgres.transaction() as stores:
            for day in await stores.decisions.days():
                await stores.decisions.drop(day)
        return postgres


class TestMemoryLeases(InMemory, LeaseStoreContract):
    pass


class TestPostgresLeases(OverPostgres, LeaseStoreContract):
    async def test_of_two_who_ask_at_once_one_gets_it(self, database):
        async with database.transaction() as one, database.transaction() as other:
            taken = [await stores.leases.take(Lease.DRAIN) for stores in (one, other)]
        assert taken == [True, False]
