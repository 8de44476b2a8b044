"""What waits in the outbox reaches PostgreSQL: all of it, each once, whatever is away."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AttemptId
from stepup.ports import AuditRecorded, AuthenticatorUsed, Database, OutboxEntry
from stepup.usecases import carry, drain
from tests.support.memory_database import MemoryAuditStore, MemoryLeaseStore
from tests.support.world import World
from tests.usecases.steps import code, opened, redeemed, type_code

ISSUED = AuditKind.TOKEN_ISSUED


class AwayAtFirst(Database):
    """PostgreSQL that answers after it was asked some times in vain."""

    def __init__(self, real: Database, *, times: int) -> None:
        self._real = real
        self._left = times
        self.answered = asyncio.Event()

    @asynccontextmanager
    async def transaction(self):
        self._left -= 1
        if self._left >= 0:
            raise DependencyUnavailableError
        async with self._real.transaction() as stores:
            yield stores
        self.answered.set()


def rows(world: World) -> list[AuditKind]:
    return [event.kind for event in world.ports.database.tables.events()]


async def test_rows_arrive_in_order_and_the_outbox_is_empty(world: World):
    await world.enroll_app()
    await type_code(world, await opened(world))

    assert await drain.drain_once(world.ports) == 3
    assert await drain.drain_once(world.ports) == 0
    assert rows(world) == [AuditKind.CHALLENGE_OPENED, AuditKind.CHALLENGE_VERIFIED]


async def test_two_instances_that_carry_one_batch_write_it_once(world: World):
    for _ in range(10):
        await opened(world)
    await asyncio.gather(*(drain.drain_once(world.ports) for _ in range(20)))

    assert len(rows(world)) == 10


async def test_a_batch_that_was_written_but_not_removed_is_not_written_twice(world: World):
    await opened(world)
    entries = await world.ports.state.outbox.read(10)
    await drain.drain_once(world.ports)
    # The removal was lost: the same entries come again under the same identifiers.
    for entry_id, entry in entries:
        world.ports.state.outbox._entries[entry_id] = entry
    await drain.drain_once(world.ports)

    assert len(rows(world)) == 1


async def test_while_postgres_is_away_everything_waits(world: World):
    await opened(world)
    away = world.ports._replace(database=AwayAtFirst(world.ports.database, times=1))
    with pytest.raises(DependencyUnavailableError):
        await drain.drain_once(away)

    assert await drain.drain_once(world.ports) == 1


async def test_an_authenticator_that_is_gone_stops_nobody(world: World):
    app = await world.enroll_app()
    used = AuthenticatorUsed(authenticator_id=app.id, at=world.clock.now())
    await world.ports.state.outbox.append(used)
    async with world.ports.database.transaction() as stores:
        await stores.authenticators.remove(world.subject(), app.id)

    assert await drain.drain_once(world.ports) == 1


async def test_draining_goes_on_after_postgres_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 100)
    await opened(world)
    database = AwayAtFirst(world.ports.database, times=3)
    running = asyncio.create_task(drain.drain(world.ports._replace(database=database)))
    await asyncio.wait_for(database.answered.wait(), 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert rows(world) == [AuditKind.CHALLENGE_OPENED]


async def test_a_grant_is_recorded_once_however_often_the_attempt_repeats(world: World):
    await world.enroll_app()
    text = await code(world)
    for _ in range(3):
        await redeemed(world, text, attempt=AttemptId("attempt-1"))
        await drain.drain_once(world.ports)
    await asyncio.gather(*(redeemed(world, text, attempt=AttemptId("attempt-1")) for _ in range(5)))
    await drain.drain_once(world.ports)

    assert rows(world).count(AuditKind.TOKEN_ISSUED) == 1


async def test_a_grant_whose_instance_died_before_it_was_recorded_is_recorded_by_the_repetition(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.enroll_app()
    text = await code(world)
    with monkeypatch.context() as patched:
        patched.setattr(world.ports.state.outbox, "append", die)
        with pytest.raises(DependencyUnavailableError):
            await redeemed(world, text, attempt=AttemptId("attempt-1"))
    await drain.drain_once(world.ports)
    assert AuditKind.TOKEN_ISSUED not in rows(world)

    granted = await redeemed(world, text, attempt=AttemptId("attempt-1"))
    await drain.drain_once(world.ports)
    recorded = [e for e in world.ports.database.tables.events() if e.kind is ISSUED]
    assert [(e.challenge_id, e.details["jti"]) for e in recorded] == [
        (granted.token.challenge_id, granted.token.id)
    ]


async def test_a_grant_whose_instance_died_after_it_was_recorded_is_not_recorded_again(
    world: World,
):
    await world.enroll_app()
    text = await code(world)
    await redeemed(world, text, attempt=AttemptId("attempt-1"))
    written = await world.ports.state.outbox.read(99)
    await drain.drain_once(world.ports)
    # The answer was lost and the removal too: the old entries are there beside the new one.
    world.ports.state.outbox._entries.update(written)
    world.ports.state.outbox._added.update({entry_id: world.clock.now() for entry_id, _ in written})
    await redeemed(world, text, attempt=AttemptId("attempt-1"))
    await drain.drain_once(world.ports)

    assert rows(world).count(ISSUED) == 1


async def test_two_grants_are_two_rows(world: World):
    await world.enroll_app()
    for _ in range(2):
        await redeemed(world, await code(world))
        world.clock.advance(timedelta(minutes=1))
    await drain.drain_once(world.ports)

    assert rows(world).count(ISSUED) == 2


async def test_an_entry_that_the_database_refuses_stays_and_stops_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    append_all = MemoryAuditStore.append_all

    async def refuse_one(self, entries):
        if any(event.details.get("acr") == "\0" for _, event in entries):
            raise ValueError("a text cannot hold a zero")
        await append_all(self, entries)

    monkeypatch.setattr(MemoryAuditStore, "append_all", refuse_one)
    bad = AuditEvent(kind=AuditKind.CODE_REPLAYED, at=world.clock.now(), details={"acr": "\0"})
    await opened(world)
    await world.ports.state.outbox.append(AuditRecorded(event=bad))
    await opened(world)
    refused: set[str] = set()
    assert await drain.drain_once(world.ports, refused) == 2
    assert await drain.drain_once(world.ports, refused) == 0
    await opened(world)
    assert await drain.drain_once(world.ports, refused) == 1

    assert rows(world) == [AuditKind.CHALLENGE_OPENED] * 3
    assert [e.event for _, e in await world.ports.state.outbox.read(9)] == [bad]


async def test_what_was_refused_is_tried_again_after_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(_self, _entries) -> None:
        raise ValueError("the table is gone")

    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 100)
    await opened(world)
    running = asyncio.create_task(drain.drain(world.ports))
    with monkeypatch.context() as broken:
        broken.setattr(MemoryAuditStore, "append_all", refuse)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert rows(world) == []
    world.clock.advance(carry.REFUSED_FOR)
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert rows(world) == [AuditKind.CHALLENGE_OPENED]


async def test_who_has_no_lease_carries_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    async def taken(_self, _lease) -> bool:
        return False

    await opened(world)
    monkeypatch.setattr(MemoryLeaseStore, "take", taken)
    assert await drain.drain_once(world.ports) == 0
    assert (await world.ports.state.outbox.backlog()).entries == 1


async def die(*_entries: OutboxEntry) -> None:
    raise DependencyUnavailableError
