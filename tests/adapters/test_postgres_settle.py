"""Redemptions while a real PostgreSQL is frozen or killed: granted in time, written once after."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.group_commit import PATIENCE
from stepup.crypto import keys
from stepup.domain.errors import CodeReplayedError, DependencyUnavailableError
from stepup.ports import CodeRedeemed
from stepup.usecases import drain, introspect
from tests.support.builders import an_attempt
from tests.support.determinism import NOON
from tests.support.engines import temporary_directory
from tests.support.stopping import frozen, killed
from tests.support.world import World
from tests.usecases.steps import code, redeemed
from tests.usecases.test_settle import forget_redemption

pytestmark = pytest.mark.postgres

# What a machine with two busy cores adds to a wait.
SLACK = 0.15
# What was committed outlives the processes, though not the machine.
SETTINGS = {"fsync": "off"}


@pytest.fixture
def directory() -> Iterator[DataDirectory]:
    with temporary_directory() as directory:
        yield directory


@pytest.fixture
def server(directory: DataDirectory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory, SETTINGS)
    migrate.upgrade(server.url)
    yield server
    server.stop()


@pytest.fixture
async def world(server: EmbeddedPostgres, sealer) -> AsyncIterator[World]:
    world = World()
    database = PostgresDatabase(server.url, sealer)
    async with database.transaction() as stores:
        await stores.keys.add(keys.seal_root(bytes(32), sealer, NOON))
    world.ports = world.ports._replace(database=database)
    await world.enroll_app()
    yield world
    await database.close()


async def codes_for(world: World, count: int) -> list[str]:
    begun = world.clock.now()
    codes = [await code(world) for _ in range(count)]
    # Each has taken a time step of its own; none of them shall have expired.
    world.clock.advance(begun - world.clock.now())
    return codes


async def timed(world: World, text: str) -> float:
    begun = time.monotonic()
    await redeemed(world, text)
    return time.monotonic() - begun


async def until_drained(world: World) -> None:
    async with asyncio.timeout(15):
        while (await world.ports.state.outbox.backlog()).entries:
            try:
                await drain.drain_once(world.ports)
            except DependencyUnavailableError:
                await asyncio.sleep(0.05)


async def rows_of(world: World) -> int:
    """Return how many rows there are, without a limit of time on reading them."""
    async with world.ports.database.transaction() as stores:
        return await stores.ledger.forget(NOON.replace(year=NOON.year + 1), 1000)


async def waiting(world: World) -> int:
    entries = await world.ports.state.outbox.read(1000)
    return sum(isinstance(entry, CodeRedeemed) for _, entry in entries)


async def test_with_postgres_frozen_three_redemptions_wait_150_ms_and_the_others_not(world, server):
    codes = await codes_for(world, 20)
    await redeemed(world, codes.pop())
    with frozen(server):
        took = [await timed(world, text) for text in codes]
    assert max(took[:3]) < PATIENCE + SLACK
    assert max(took[3:]) < 0.05, took
    assert await waiting(world) == 19

    await until_drained(world)
    assert await rows_of(world) == 20


async def test_with_postgres_frozen_many_redemptions_at_once_are_granted_in_time(world, server):
    codes = await codes_for(world, 60)
    with frozen(server):
        took = await asyncio.gather(*(timed(world, text) for text in codes))
    assert max(took) < PATIENCE + 2 * SLACK

    await until_drained(world)
    assert await rows_of(world) == 60


async def test_postgres_killed_in_the_middle_costs_no_redemption_and_no_row(
    world, server, directory
):
    codes = await codes_for(world, 60)
    for text in codes[:20]:
        await redeemed(world, text)
    redeeming = [asyncio.create_task(timed(world, text)) for text in codes[20:]]
    # Under way, and not there yet.
    await asyncio.sleep(0.0005)
    killed(server)
    assert max(await asyncio.gather(*redeeming)) < PATIENCE + 2 * SLACK

    again = EmbeddedPostgres(directory, SETTINGS)
    try:
        await until_drained(world)
        assert await rows_of(world) == 60
    finally:
        again.stop()


async def test_what_redis_lost_is_stopped_by_a_real_row(world):
    text = await code(world)
    got = await redeemed(world, text)
    forget_redemption(world, text)
    results = await asyncio.gather(
        *(redeemed(world, text, attempt=an_attempt()) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(result, CodeReplayedError) for result in results)
    assert await introspect.introspect(world.ports, world.bank, got.text) is None
