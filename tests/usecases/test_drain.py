"""What waits in the outbox reaches PostgreSQL: all of it, each once, whatever is away."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import AuthenticatorUsed, Database
from stepup.usecases import drain
from tests.support.world import World
from tests.usecases.steps import opened, type_code


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
    return [event.kind for event in world.ports.database.tables.audit.values()]


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
    monkeypatch.setattr(drain, "IDLE_PAUSE", drain.IDLE_PAUSE / 100)
    await opened(world)
    database = AwayAtFirst(world.ports.database, times=3)
    running = asyncio.create_task(drain.drain(world.ports._replace(database=database)))
    await asyncio.wait_for(database.answered.wait(), 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert rows(world) == [AuditKind.CHALLENGE_OPENED]
