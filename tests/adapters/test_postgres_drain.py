"""The drain over real engines: every row once, whatever stops, dies or comes twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.audit import PostgresAuditStore
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.redis import keys as redis_keys
from stepup.adapters.redis.state import RedisState
from stepup.crypto import audit_chain, keys
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import Authenticator, RecoveryCodes
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AttemptId, AuthenticatorId, ChallengeId
from stepup.ports import AuditRecorded, AuthenticatorUsed, Ports, RecoveryCodeBurned
from stepup.usecases import carry, drain
from tests.adapters.conftest import libpq_url
from tests.contracts.ledger import a_consumption, a_redemption
from tests.support.application import HeldSnapshot, a_site, memory_ports
from tests.support.builders import an_authenticator
from tests.support.determinism import NOON
from tests.support.engines import FAST_POSTGRES, temporary_directory

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def an_event(number: int, kind: AuditKind = AuditKind.CHALLENGE_FAILED) -> AuditRecorded:
    details = {"number": number, "jti": f"r1.{number}.jti"}
    event = AuditEvent(
        kind=kind, at=NOON, challenge_id=ChallengeId(f"r1.{number}"), details=details
    )
    return AuditRecorded(event=event)


@pytest.fixture
async def state(redis_url, sealer, clock) -> AsyncIterator[RedisState]:
    async with RedisState(redis_url, sealer, clock) as state:
        await state.client.call("DEL", redis_keys.outbox())
        yield state
        await state.client.call("DEL", redis_keys.outbox())


def ports_over(database: PostgresDatabase, state: RedisState) -> Ports:
    ports = memory_ports(site=a_site(), snapshot=HeldSnapshot())
    return ports._replace(database=database, state=state.stores)


@pytest.fixture
def ports(postgres: PostgresDatabase, state: RedisState, root: bytes) -> Ports:
    return ports_over(postgres, state)


@asynccontextmanager
async def instances(url: str, state: RedisState, sealer, count: int) -> AsyncIterator[list[Ports]]:
    """Several instances with a pool each, over the same engines."""
    async with AsyncExitStack() as stack:
        databases = [PostgresDatabase(url, sealer) for _ in range(count)]
        for database in databases:
            stack.push_async_callback(database.close)
        yield [ports_over(database, state) for database in databases]


async def numbers(ports: Ports) -> list[int]:
    """Return the numbers in the chain, in its order, after proving that it is one."""
    async with ports.database.transaction() as stores:
        chain = await stores.audit.chained(after=0, count=100_000)
    key = audit_chain.chain_key(bytes(32))
    assert [r.link.position for r in chain] == list(range(1, len(chain) + 1))
    assert all(audit_chain.is_authentic(key, r, r.link) for r in chain)
    return [record.details["number"] for record in chain]


async def waiting(ports: Ports) -> int:
    return (await ports.state.outbox.backlog()).entries


async def test_three_instances_at_once_write_each_row_once_and_in_order(
    schema_url, state, sealer, ports
):
    await ports.state.outbox.append(*(an_event(n) for n in range(2_000)))
    async with instances(schema_url, state, sealer, 3) as running:
        while await waiting(ports):
            await asyncio.gather(*(drain.drain_once(each) for each in running))
    assert await numbers(ports) == list(range(2_000))


async def test_a_batch_that_was_committed_but_not_removed_is_not_written_again(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
):
    async def die(*_args: object) -> None:
        raise asyncio.CancelledError

    await ports.state.outbox.append(*(an_event(n) for n in range(10)))
    with monkeypatch.context() as patched:
        patched.setattr(ports.state.outbox, "remove", die)
        with pytest.raises(asyncio.CancelledError):
            await drain.drain_once(ports)
    assert await waiting(ports) == 10
    await ports.state.outbox.append(an_event(10))

    assert await drain.drain_once(ports) == 11
    assert await numbers(ports) == list(range(11))
    assert await waiting(ports) == 0


async def test_a_grant_that_comes_in_two_batches_is_one_row(ports: Ports):
    for _ in range(2):
        await ports.state.outbox.append(an_event(1, AuditKind.TOKEN_ISSUED))
        await ports.state.outbox.append(an_event(1, AuditKind.TOKEN_ISSUED))
        assert await drain.drain_once(ports) == 2
    assert await numbers(ports) == [1]


async def test_entries_of_a_newer_release_wait_and_stop_nobody(ports: Ports, state: RedisState):
    newer = [["v", 2, "entry", b"\x00"], ["v", 1, "entry", b'{"type":"not yet"}'], ["w", 1]]
    for fields in newer * 200:
        await state.client.call("XADD", redis_keys.outbox(), "*", *fields)
    await ports.state.outbox.append(*(an_event(n) for n in range(700)))
    assert [await drain.drain_once(ports) for _ in range(3)] == [500, 200, 0]

    assert await numbers(ports) == list(range(700))
    left = await state.client.call("XRANGE", redis_keys.outbox(), "-", "+")
    assert [row[1][1] for row in left] == [str(f[1]).encode() for f in newer * 200]


async def test_what_postgres_refuses_waits_and_stops_nobody(ports: Ports):
    # PostgreSQL keeps no zero characters in JSON.
    bad = AuditEvent(kind=AuditKind.CODE_REPLAYED, at=NOON, details={"jti": "\0"})
    await ports.state.outbox.append(an_event(0), AuditRecorded(event=bad), an_event(1))
    refused: set[str] = set()
    assert await drain.drain_once(ports, refused) == 2
    await ports.state.outbox.append(an_event(2))
    assert await drain.drain_once(ports, refused) == 1

    assert await numbers(ports) == [0, 1, 2]
    assert [entry.event for _, entry in await ports.state.outbox.read(9)] == [bad]


async def test_many_uses_of_some_authenticators_move_each_of_them(ports: Ports):
    mine, other = an_authenticator(), an_authenticator()
    async with ports.database.transaction() as stores:
        await stores.authenticators.add(mine)
        await stores.authenticators.add(other)
    for owner in (mine, other, an_authenticator()):
        uses = [AuthenticatorUsed(authenticator_id=AuthenticatorId(owner.id), at=NOON)] * 20
        await ports.state.outbox.append(*uses)
    assert await drain.drain_once(ports) == 60

    async with ports.database.transaction() as stores:
        for owner in (mine, other):
            found = await stores.authenticators.find(owner.subject, owner.id)
            assert found is not None
            assert found.last_used_at == NOON


async def test_what_was_spent_meanwhile_is_written_once_however_often_it_comes(ports: Ports):
    kept = an_authenticator(RecoveryCodes(digests=(b"one", b"two"), confirmed=True))
    async with ports.database.transaction() as stores:
        await stores.authenticators.add(kept)
    event = AuditEvent(kind=AuditKind.RECOVERY_CODE_USED, at=NOON, details={"number": 1})
    burned = RecoveryCodeBurned(
        authenticator_id=kept.id, code_digest=b"one", attempt=AttemptId("a"), event=event
    )
    spent = [a_redemption(), a_consumption()]
    for _ in range(3):
        await ports.state.outbox.append(burned, *spent, burned)
        assert await drain.drain_once(ports) == 4

    assert await numbers(ports) == [1]
    async with ports.database.transaction() as stores:
        found = await stores.authenticators.find(kept.subject, kept.id)
        assert found is not None
        assert found.credential.digests == (b"two",)
        assert await stores.ledger.record_all(spent) == spent


async def test_changes_by_people_and_the_drain_do_not_wait_for_each_other(
    schema_url: str, state: RedisState, sealer, ports: Ports
):
    owned = [an_authenticator() for _ in range(5)]
    async with ports.database.transaction() as stores:
        for each in owned:
            await stores.authenticators.add(each)

    async def rename(to: Ports, each: Authenticator, turn: int) -> None:
        async with to.database.transaction() as stores:
            assert await stores.authenticators.rename(each.subject, each.id, f"name {turn}")
            await stores.audit.append(f"rename {each.id} {turn}", an_event(turn).event)

    async with instances(schema_url, state, sealer, 2) as running:
        for turn in range(5):
            uses = [AuthenticatorUsed(authenticator_id=each.id, at=NOON) for each in owned]
            await ports.state.outbox.append(*uses, *(an_event(n) for n in range(200)))
            await asyncio.gather(
                drain.drain_once(running[0]), *(rename(running[1], each, turn) for each in owned)
            )
    assert len(await numbers(ports)) == 5 * (200 + 5)


async def test_the_documented_rights_are_enough(
    schema_url: str, state: RedisState, sealer, ports: Ports, rows: psycopg.Connection
):
    role = "stepup_service_of_a_test"
    rows.execute(f"CREATE ROLE {role} LOGIN")
    try:
        rows.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        # As docs/operations.md says it.
        rows.execute(f"REVOKE ALL ON audit_event FROM {role}")
        rows.execute(f"GRANT SELECT, INSERT ON audit_event TO {role}")
        url = make_url(schema_url).set(username=role).render_as_string(hide_password=False)
        await ports.state.outbox.append(*(an_event(n) for n in range(10)))
        async with instances(url, state, sealer, 1) as [limited]:
            assert await drain.drain_once(limited) == 10
            assert await numbers(limited) == list(range(10))
        with psycopg.connect(libpq_url(url), autocommit=True) as service:
            for statement in ("UPDATE audit_event SET position = 1", "DELETE FROM audit_event"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    service.execute(statement)
    finally:
        rows.execute(f"DROP OWNED BY {role}")
        rows.execute(f"DROP ROLE {role}")


async def test_a_server_too_slow_for_a_batch_gets_smaller_ones(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
):
    append_all, tried = PostgresAuditStore.append_all, []

    async def too_slow(self, entries):
        tried.append(len(entries))
        if len(entries) > 70:
            raise DependencyUnavailableError
        await append_all(self, entries)

    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 100)
    monkeypatch.setattr(PostgresAuditStore, "append_all", too_slow)
    await ports.state.outbox.append(*(an_event(n) for n in range(700)))
    draining = asyncio.create_task(drain.drain(ports))
    await until_at_most(0, ports)
    await stop([draining])
    assert tried[:5] == [500, 250, 125, 62, 124]
    assert await numbers(ports) == list(range(700))


async def test_while_the_server_is_stopped_everything_waits_and_is_written_once_after(
    state: RedisState, sealer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 10)
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, FAST_POSTGRES)
        migrate.upgrade(server.url)
        async with instances(server.url, state, sealer, 2) as running:
            async with running[0].database.transaction() as stores:
                await stores.keys.add(keys.seal_root(bytes(32), sealer, NOON))
            draining = [asyncio.create_task(drain.drain(each)) for each in running]
            await running[0].state.outbox.append(*(an_event(n) for n in range(300)))
            await until_at_most(100, running[0])
            server.stop()
            await running[0].state.outbox.append(*(an_event(n) for n in range(300, 1_500)))
            await asyncio.sleep(0.5)
            assert await waiting(running[0]) >= 1_200
            server = EmbeddedPostgres(directory, FAST_POSTGRES)
            try:
                await until_at_most(0, running[0])
                await stop(draining)
                assert await numbers(running[0]) == list(range(1_500))
            finally:
                await stop(draining)
                server.stop()


async def test_before_there_is_a_root_secret_everything_waits(
    postgres: PostgresDatabase, state: RedisState
):
    ports = ports_over(postgres, state)
    await ports.state.outbox.append(an_event(1))
    with pytest.raises(DependencyUnavailableError):
        await drain.drain_once(ports)
    assert await waiting(ports) == 1


async def test_whoever_falls_silent_with_the_lease_loses_it(ports: Ports, schema_url: str):
    await ports.state.outbox.append(an_event(1))
    silent = psycopg.connect(libpq_url(schema_url))
    # As the service's own connections have it, but sooner.
    silent.execute("SET LOCAL idle_in_transaction_session_timeout = '300ms'")
    silent.execute("SELECT pg_advisory_xact_lock(73054, 1)")
    assert await drain.drain_once(ports) == 0
    await asyncio.sleep(0.5)
    assert await drain.drain_once(ports) == 1
    silent.close()


async def until_at_most(count: int, ports: Ports) -> None:
    for _ in range(10_000):
        if await waiting(ports) <= count:
            return
        await asyncio.sleep(0.002)
    pytest.fail("nobody drained")


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
