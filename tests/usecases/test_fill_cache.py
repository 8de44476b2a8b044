"""Every subject's authenticators reach the cache: page by page, and by one instance at a time."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from stepup.ports.snapshots import BEGINNING
from stepup.usecases import fill_cache
from stepup.usecases.fill_cache import PAGE, PAGE_PAUSE, PASS_PAUSE, fill_page
from tests.support.memory_database import AwayDatabase
from tests.support.world import World
from tests.usecases.steps import opened, type_code

SUBS = [f"sub-{number}" for number in range(2 * PAGE + 1)]


@pytest.fixture
async def crowd(world: World) -> World:
    """More people than two pages hold."""
    for sub in SUBS:
        await world.enroll_app(sub)
    return world


async def known(world: World) -> set[str]:
    find = world.ports.state.credentials.find
    return {sub for sub in SUBS if await find(world.subject(sub)) is not None}


async def fill_whole(world: World) -> list[int]:
    pages = []
    while not pages or pages[-1]:
        pages.append(await fill_page(world.ports))
        world.clock.advance(PAGE_PAUSE)
    return pages


async def test_a_pass_leaves_nobody_out(crowd: World):
    assert await fill_whole(crowd) == [PAGE, PAGE, 1, 0]
    assert await known(crowd) == set(SUBS)


async def test_a_subject_that_was_never_seen_steps_up_while_postgres_is_away(world: World):
    await world.enroll_app()
    await fill_page(world.ports)
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))

    assert await type_code(world, await opened(world))


async def test_all_instances_together_take_one_page_in_each_pause(crowd: World):
    assert sorted(await asyncio.gather(*(fill_page(crowd.ports) for _ in range(5)))) == [
        0,
        0,
        0,
        0,
        PAGE,
    ]


async def test_after_a_pass_it_rests(crowd: World):
    await fill_whole(crowd)
    crowd.clock.advance(PASS_PAUSE - 2 * PAGE_PAUSE)
    assert await fill_page(crowd.ports) == 0
    crowd.clock.advance(2 * PAGE_PAUSE)
    assert await fill_page(crowd.ports) == PAGE


def test_no_list_grows_old_between_two_passes():
    # Ten million subjects, and a pass that met an outage of some hours.
    whole = 10_000_000 / PAGE * PAGE_PAUSE
    assert PASS_PAUSE + 2 * whole < timedelta(hours=24)


async def test_a_redis_that_was_emptied_is_filled_anew(crowd: World):
    await fill_whole(crowd)
    for sub in SUBS:
        await crowd.ports.state.credentials.forget(crowd.subject(sub))
    await crowd.ports.state.credentials.keep_place(BEGINNING)

    await fill_whole(crowd)
    assert await known(crowd) == set(SUBS)


async def test_it_goes_on_for_ever_and_bears_an_outage(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fill_cache, "IDLE_PAUSE", timedelta(milliseconds=1))
    await world.enroll_app()
    for database in (AwayDatabase(world.clock), world.ports.database):
        running = asyncio.create_task(
            fill_cache.fill_cache(world.ports._replace(database=database))
        )
        await asyncio.sleep(0.05)
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    assert await world.ports.state.credentials.find(world.subject()) is not None
