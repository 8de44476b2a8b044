"""What the design rests on and nobody promises: psycopg and SQLAlchemy on lost servers."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stepup.adapters.postgres.bounded import BoundedCalls
from stepup.adapters.postgres.engine import driver_url, make_engine
from tests.support.standby import Pair, connected, running_pair

pytestmark = [pytest.mark.postgres, pytest.mark.pin]

POOL = 5


@pytest.fixture
def pair() -> Iterator[Pair]:
    with running_pair() as running:
        with connected(running.primary) as connection:
            connection.execute("CREATE TABLE written (at timestamptz DEFAULT now())")
        running.wait_until_in_step()
        yield running


@pytest.fixture
async def engine_on() -> AsyncIterator[Callable[[AsyncEngine], Awaitable[AsyncEngine]]]:
    """Fill the pool of an engine with warm connections, and close it at the end."""
    opened: list[AsyncEngine] = []

    async def warm(engine: AsyncEngine) -> AsyncEngine:
        opened.append(engine)
        connections = [await engine.connect() for _ in range(POOL)]
        for connection in connections:
            await connection.execute(text("SELECT 1"))
            await connection.close()
        return engine

    yield warm
    for engine in opened:
        await engine.dispose()


async def failed_writes(engine: AsyncEngine, tries: int) -> int:
    """Write one after another; returns how many failed."""
    failed = 0
    for _ in range(tries):
        try:
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO written DEFAULT VALUES"))
        except DBAPIError:
            failed += 1
    return failed


async def test_p12_a_demoted_primary_that_lives_is_left_at_the_first_25006(pair: Pair, engine_on):
    engine = await engine_on(make_engine(pair.url))
    assert await failed_writes(engine, POOL) == 0
    pair.demote_alive()

    assert await failed_writes(engine, 3 * POOL) == 1
    with connected(pair.standby) as connection:
        assert connection.execute("SELECT count(*) FROM written").fetchone() == (4 * POOL - 1,)


async def test_p12_without_our_rule_a_pool_stays_with_it_for_ever(pair: Pair, engine_on):
    """The control arm: a ping that only reads finds nothing wrong with a demoted primary."""
    url = driver_url(pair.url)
    engine = await engine_on(create_async_engine(url, pool_pre_ping=True, pool_size=POOL))
    pair.demote_alive()

    assert await failed_writes(engine, 3 * POOL) == 3 * POOL


async def test_a_killed_primary_is_left_for_the_promoted_standby(pair: Pair, engine_on):
    engine = await engine_on(make_engine(pair.url))
    pair.signal_primary(signal.SIGKILL)
    pair.promote()

    # Each warm connection may be met once; nothing waits for a host that is gone.
    began = time.monotonic()
    assert await failed_writes(engine, 3 * POOL) <= POOL
    assert time.monotonic() - began < 3
    assert await failed_writes(engine, POOL) == 0


async def test_p13_a_detached_wait_walks_away_from_a_frozen_server_in_time(pair: Pair, engine_on):
    engine = await engine_on(make_engine(pair.url))
    calls = BoundedCalls()
    pair.signal_primary(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await calls.call(select_one(engine), 0.5)
        assert time.monotonic() - began < 1
    finally:
        pair.signal_primary(signal.SIGCONT)
        await calls.close()


async def test_p13_a_cancelled_call_waits_for_the_frozen_server(pair: Pair, engine_on):
    """The control arm: cancelling asks the server to stop, and waits for its answer."""
    engine = await engine_on(make_engine(pair.url))
    pair.signal_primary(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises((TimeoutError, DBAPIError)):
            async with asyncio.timeout(0.5):
                await select_one(engine)
        assert time.monotonic() - began > 3
    finally:
        pair.signal_primary(signal.SIGCONT)


async def select_one(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
