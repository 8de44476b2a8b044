"""An instance starts with the copy while PostgreSQL is away, and never goes back to an older one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.freshness import FRESH_FOR, Freshness
from stepup.ports import Ports
from stepup.usecases import keys, policies, registering, sealed_copy
from stepup.usecases.refresh import refresh
from stepup.usecases.sealed_copy import can_start, keep_copy, look_after_copy, mend_copy
from stepup.usecases.snapshot import LiveSnapshot
from tests.support.memory_database import AwayDatabase
from tests.support.world import World

SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))
SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)


def without_postgres(world: World) -> Ports:
    return world.ports._replace(database=AwayDatabase(world.clock))


async def activate(world: World, action: str = "pay") -> None:
    text = f"apiVersion: stepup/v1\nactions:\n  {action}: {{default: allow}}\n"
    await policies.activate(world.ports, text, "carol")


@pytest.fixture
async def live(world: World) -> LiveSnapshot:
    """An instance that has loaded from PostgreSQL and kept the copy."""
    await keys.ensure_keys(world.ports, SEALER)
    await registering.put(world.ports, world.bank)
    await activate(world)
    live = LiveSnapshot(world.clock)
    await refresh(world.ports, live, SEALER)
    await keep_copy(world.ports, live)
    return live


@pytest.fixture
def started(world: World) -> LiveSnapshot:
    """Another instance, which has loaded nothing yet."""
    return LiveSnapshot(world.clock)


# --- starting -------------------------------------------------------------------------------


async def test_an_instance_starts_with_the_copy(world: World, live, started):
    assert await refresh(without_postgres(world), started, SEALER)

    assert started.loaded.configuration == live.loaded.configuration
    assert "pay" in started.policy.actions
    assert started.keyring.active.public_jwk == live.keyring.active.public_jwk
    assert started.keyring.root == live.keyring.root
    bank = msgspec.structs.replace(world.bank, revision=1)
    assert started.client(world.bank.client_id) == bank


async def test_with_neither_an_instance_is_not_ready_and_says_so(world: World, started):
    with pytest.raises(DependencyUnavailableError, match="Redis keeps no copy"):
        await refresh(without_postgres(world), started, SEALER)

    assert started.loaded is None
    assert started.freshness is Freshness.UNUSABLE


async def test_postgres_that_answers_is_asked_first(world: World, live, started):
    await activate(world, "sell")

    await refresh(world.ports, started, SEALER)
    assert started.policy.version == 2


async def test_a_restart_makes_nothing_younger(world: World, live, started):
    world.clock.advance(DAY)
    await refresh(without_postgres(world), started, SEALER)
    assert started.freshness is Freshness.STALE

    world.clock.advance(SECOND)
    assert started.freshness is Freshness.UNUSABLE
    with pytest.raises(DependencyUnavailableError, match="away for too long"):
        _ = started.policy


async def test_a_confirmation_of_a_clock_ahead_lends_no_time(world: World, live, started):
    configuration, at = world.ports.state.snapshots.kept
    world.ports.state.snapshots.kept = (configuration, at + 2 * DAY)
    await refresh(without_postgres(world), started, SEALER)

    world.clock.advance(DAY + SECOND)
    assert started.freshness is Freshness.UNUSABLE


async def test_a_confirmation_yet_to_come_does_not_confirm_again_and_again(
    world: World, live, started
):
    await refresh(world.ports, started, SEALER)
    configuration, at = world.ports.state.snapshots.kept
    world.ports.state.snapshots.kept = (configuration, at + 2 * DAY)
    world.clock.advance(FRESH_FOR + SECOND)

    await refresh(without_postgres(world), started, SEALER)
    assert started.freshness is Freshness.STALE


async def test_a_confirmation_of_a_clock_ahead_is_put_right(world: World, live):
    configuration, at = world.ports.state.snapshots.kept
    world.ports.state.snapshots.kept = (configuration, at + 2 * DAY)

    await keep_copy(world.ports, live)
    assert world.ports.state.snapshots.kept == (configuration, at)


async def test_a_clock_that_was_ahead_and_was_put_right_leaves_no_time(world: World, live):
    world.clock.advance(2 * DAY)
    await refresh(world.ports, live, SEALER)
    world.clock.advance(-2 * DAY)
    await refresh(world.ports, live, SEALER)

    world.clock.advance(FRESH_FOR + SECOND)
    assert live.freshness is Freshness.STALE


# --- age ------------------------------------------------------------------------------------


async def test_hearing_that_nothing_changed_keeps_it_fresh(world: World, live: LiveSnapshot):
    ages = []
    told = LiveSnapshot(world.clock, on_age=ages.append)
    await refresh(world.ports, told, SEALER)
    world.clock.advance(FRESH_FOR + SECOND)
    assert told.freshness is Freshness.STALE
    told.tell_age()
    await refresh(world.ports, told, SEALER)

    assert told.freshness is Freshness.FRESH
    assert ages == [timedelta(0), FRESH_FOR + SECOND, timedelta(0)]


async def test_without_postgres_it_serves_says_so_and_ends_after_a_day(world: World, live):
    away = without_postgres(world)
    for wait, expected in (
        (FRESH_FOR, Freshness.FRESH),
        (SECOND, Freshness.STALE),
        (DAY - FRESH_FOR - SECOND, Freshness.STALE),
        (SECOND, Freshness.UNUSABLE),
    ):
        world.clock.advance(wait)
        await refresh(away, live, SEALER)
        await keep_copy(away, live)
        assert live.freshness is expected


async def test_one_that_lost_postgres_alone_learns_from_the_others_that_nothing_changed(
    world: World, live, started
):
    await refresh(world.ports, started, SEALER)
    for _ in range(10):
        world.clock.advance(10 * SECOND)
        await refresh(world.ports, live, SEALER)
        await keep_copy(world.ports, live)
        await refresh(without_postgres(world), started, SEALER)

    assert started.freshness is Freshness.FRESH


async def test_it_follows_the_others_to_a_newer_version(world: World, live, started):
    await refresh(world.ports, started, SEALER)
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    await keep_copy(world.ports, live)

    assert await refresh(without_postgres(world), started, SEALER)
    assert started.policy.version == 2


# --- older versions ---------------------------------------------------------------------------


async def test_an_older_copy_that_somebody_put_back_changes_nothing_in_memory(
    world: World, live: LiveSnapshot
):
    older = world.ports.state.snapshots.kept
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    world.ports.state.snapshots.kept = older

    assert not await refresh(without_postgres(world), live, SEALER)
    assert live.policy.version == 2


async def test_and_it_is_replaced_by_what_is_in_memory(world: World, live: LiveSnapshot):
    older = world.ports.state.snapshots.kept
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    world.ports.state.snapshots.kept = older

    await keep_copy(without_postgres(world), live)
    assert world.ports.state.snapshots.kept[0].policy.version == 2


async def test_an_older_copy_confirms_nothing(world: World, live: LiveSnapshot):
    older = world.ports.state.snapshots.kept
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    world.clock.advance(FRESH_FOR + SECOND)
    world.ports.state.snapshots.kept = (older[0], world.clock.now())

    await refresh(without_postgres(world), live, SEALER)
    assert live.freshness is Freshness.STALE


async def test_an_older_copy_is_no_use_to_a_start_after_a_day(world: World, live, started):
    """What bounds a rollback by somebody who writes to Redis: it is as old as it was."""
    world.clock.advance(DAY + SECOND)
    await refresh(without_postgres(world), started, SEALER)

    assert started.freshness is Freshness.UNUSABLE


async def test_a_database_that_was_restored_is_followed_and_so_is_the_copy(
    world: World, live: LiveSnapshot
):
    before = world.ports.database.tables
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    await keep_copy(world.ports, live)
    world.ports.database.tables = before

    await refresh(world.ports, live, SEALER)
    await keep_copy(world.ports, live)
    assert live.policy.version == 1
    assert world.ports.state.snapshots.kept[0] == live.loaded.configuration


async def test_a_newer_copy_of_another_deployment_is_replaced(world: World, live: LiveSnapshot):
    """The database was made anew, the Redis was not."""
    theirs = msgspec.structs.replace(live.loaded.configuration, issuer="https://old", version=99)
    world.ports.state.snapshots.kept = (theirs, world.clock.now())

    with suppress(DependencyUnavailableError):
        await keep_copy(without_postgres(world), live)
    assert world.ports.state.snapshots.kept[0] == theirs  # another key may open it
    await keep_copy(world.ports, live)
    assert world.ports.state.snapshots.kept[0] == live.loaded.configuration


async def test_another_text_under_a_known_number_is_parsed(world: World, live: LiveSnapshot):
    world.ports.database.tables.policies.versions.clear()
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)

    assert live.policy.version == 1
    assert "sell" in live.policy.actions


async def test_who_is_behind_leaves_the_newer_copy_alone(world: World, live: LiveSnapshot):
    slow = LiveSnapshot(world.clock)
    await refresh(world.ports, slow, SEALER)
    await activate(world, "sell")
    await refresh(world.ports, live, SEALER)
    await keep_copy(world.ports, live)

    await keep_copy(world.ports, slow)
    assert world.ports.state.snapshots.kept[0].policy.version == 2
    with suppress(DependencyUnavailableError):
        await keep_copy(without_postgres(world), slow)
    assert world.ports.state.snapshots.kept[0].policy.version == 2


# --- looking after the copy ---------------------------------------------------------------------


async def test_the_first_instance_saves_the_others_the_work(world: World, live, started):
    await refresh(world.ports, started, SEALER)
    kept = world.ports.state.snapshots.kept
    for _ in range(3):
        world.clock.advance(3 * SECOND)
        await refresh(world.ports, started, SEALER)
        await keep_copy(world.ports, started)

    assert world.ports.state.snapshots.kept is kept


async def test_a_redis_that_lost_it_gets_it_back_while_postgres_is_away(world: World, live):
    kept = world.ports.state.snapshots.kept
    world.ports.state.snapshots.kept = None
    world.clock.advance(timedelta(hours=1))

    await keep_copy(without_postgres(world), live)
    assert world.ports.state.snapshots.kept == kept


async def test_a_copy_that_nobody_could_start_with_is_found_and_replaced(world: World, live):
    configuration, at = world.ports.state.snapshots.kept
    broken = msgspec.structs.replace(configuration, keys=())
    world.ports.state.snapshots.kept = (broken, at)
    assert not await can_start(world.ports, SEALER)

    await mend_copy(world.ports, live, SEALER)
    assert await can_start(world.ports, SEALER)


async def test_it_is_looked_after_for_ever(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_copy, "LOOK_INTERVAL", timedelta(milliseconds=1))
    snapshots = world.ports.state.snapshots
    async with looking_after(world.ports, live):
        for _ in range(3):
            snapshots.kept = None
            async with asyncio.timeout(5):
                while snapshots.kept is None:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(0.001)


@asynccontextmanager
async def looking_after(ports: Ports, live: LiveSnapshot) -> AsyncIterator[None]:
    running = asyncio.create_task(look_after_copy(ports, live, SEALER))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
