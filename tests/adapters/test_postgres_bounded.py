"""Walking away from a call, and what becomes of it."""

import asyncio
import time

import pytest

from stepup.adapters.postgres.bounded import BoundedCalls


@pytest.fixture
async def calls():
    calls = BoundedCalls()
    yield calls
    await calls.close()


class StubbornCall:
    """A call that, like a driver's on a frozen server, ends at the second cancellation only."""

    def __init__(self) -> None:
        self.cancellations = 0
        self.ended = asyncio.Event()

    async def run(self) -> None:
        while self.cancellations < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancellations += 1
        self.ended.set()


async def after(seconds: float, value: str) -> str:
    await asyncio.sleep(seconds)
    return value


async def test_returns_what_comes_back_in_time(calls):
    assert await calls.call(after(0, "answer"), 1) == "answer"


async def test_an_error_comes_back_as_it_is(calls):
    async def fail() -> None:
        raise KeyError("cause")

    with pytest.raises(KeyError, match="cause"):
        await calls.call(fail(), 1)


async def test_walks_away_without_waiting_for_the_cancellation(calls):
    call = StubbornCall()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await calls.call(call.run(), 0.05)
    assert time.monotonic() - began < 0.2

    await asyncio.wait_for(call.ended.wait(), 2)
    assert call.cancellations == 2


async def test_a_result_that_comes_late_is_discarded(calls):
    discarded = asyncio.Queue()
    with pytest.raises(TimeoutError):
        await calls.call(after(0.1, "late"), 0.01, grace=5, discard=discarded.put)
    assert await asyncio.wait_for(discarded.get(), 1) == "late"


async def test_an_error_that_comes_late_is_nobodys(calls):
    async def fail_late() -> None:
        await asyncio.sleep(0.02)
        raise KeyError

    with pytest.raises(TimeoutError):
        await calls.call(fail_late(), 0.01, grace=5)
    await asyncio.sleep(0.05)


async def test_the_result_of_a_caller_that_was_cancelled_at_that_moment_is_discarded(calls):
    discarded = asyncio.Queue()
    caller = asyncio.create_task(calls.call(after(0, "ready"), 1, discard=discarded.put))
    await asyncio.sleep(0.01)
    assert caller.done()

    release = asyncio.get_running_loop().create_future()
    caller = asyncio.create_task(calls.call(_result_of(release), 1, discard=discarded.put))
    await asyncio.sleep(0.01)
    release.set_result("ready")
    caller.cancel()
    await asyncio.wait({caller})

    assert caller.cancelled()
    assert await asyncio.wait_for(discarded.get(), 1) == "ready"


async def test_closing_ends_what_was_left_behind(calls):
    call = StubbornCall()
    with pytest.raises(TimeoutError):
        await calls.call(call.run(), 0.01, grace=60)
    await calls.close()
    assert call.ended.is_set()


async def _result_of(future: asyncio.Future) -> str:
    return await future
