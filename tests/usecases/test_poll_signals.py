"""A receiver fetches its SETs until it says that it has them."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.errors import InvalidRequestError
from stepup.domain.signal_errors import StreamNotFoundError
from stepup.domain.streams import Stream, StreamId, StreamStatus
from stepup.usecases import streams
from stepup.usecases.poll_signals import WAIT, Poll, Polled, poll
from stepup.usecases.streams import Wish
from tests.support.receivers import CRM, a_receiver, a_stream
from tests.support.world import World
from tests.usecases.test_push_signals import queue

NOW = Poll(return_immediately=True)


@pytest.fixture
async def stream(world: World) -> Stream:
    return await a_stream(world, Wish())


async def fetch(world: World, stream: Stream, wish: Poll = NOW, client: str = CRM) -> Polled:
    caller = world.snapshot.clients[client]
    return await poll(world.ports, caller, stream.id, wish, lambda: False)


async def test_rfc8936_2_4_events_come_again_until_they_are_acknowledged(world: World, stream):
    await queue(world, stream, "a", "b")
    for _ in range(2):
        polled = await fetch(world, stream)
        assert list(polled.sets) == ["a", "b"]
        assert not polled.more_available
    polled = await fetch(world, stream, Poll(return_immediately=True, ack=("a",)))
    assert (list(polled.sets), polled.acknowledged) == (["b"], 1)


async def test_rfc8936_2_2_no_more_than_max_events_and_says_that_there_are_more(
    world: World, stream
):
    await queue(world, stream, "a", "b", "c")
    polled = await fetch(world, stream, Poll(max_events=2))
    assert (list(polled.sets), polled.more_available) == (["a", "b"], True)
    polled = await fetch(world, stream, Poll(max_events=3))
    assert (list(polled.sets), polled.more_available) == (["a", "b", "c"], False)


async def test_rfc8936_2_4_1_max_events_of_zero_acknowledges_alone(world: World, stream):
    await queue(world, stream, "a", "b")
    polled = await fetch(world, stream, Poll(max_events=0, ack=("a", "b")))
    assert (polled.sets, polled.acknowledged) == ({}, 2)
    assert (await fetch(world, stream)).sets == {}


async def test_rfc8936_2_4_4_what_the_receiver_cannot_use_is_set_aside(world: World, stream):
    await queue(world, stream, "a", "b")
    wish = Poll(return_immediately=True, set_errors={"a": "invalid_key"})
    polled = await fetch(world, stream, wish)
    assert (list(polled.sets), polled.set_aside) == (["b"], 1)
    async with world.ports.database.transaction() as stores:
        assert [(e.id, e.problem) for e in await stores.signals.aside(stream.id)] == [
            ("a", "invalid_key")
        ]


async def test_rfc8936_2_1_waits_until_there_is_something(world: World, stream):
    waiting = asyncio.create_task(fetch(world, stream, Poll()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await queue(world, stream, "a")
    polled = await asyncio.wait_for(waiting, timeout=5)
    assert list(polled.sets) == ["a"]


async def test_waits_for_a_while_only(world: World, stream):
    waiting = asyncio.create_task(fetch(world, stream, Poll()))
    await asyncio.sleep(0.05)
    world.clock.advance(WAIT + timedelta(seconds=1))
    assert (await asyncio.wait_for(waiting, timeout=5)).sets == {}


async def test_nobody_waits_for_a_server_that_stops(world: World, stream):
    caller = world.snapshot.clients[CRM]
    polled = await poll(world.ports, caller, stream.id, Poll(), lambda: True)
    assert polled.sets == {}


async def test_a_stream_that_ends_meanwhile_ends_the_wait(world: World, stream):
    waiting = asyncio.create_task(fetch(world, stream, Poll()))
    await asyncio.sleep(0.05)
    await streams.delete(world.ports, world.snapshot.clients[CRM], stream.id)
    with pytest.raises(StreamNotFoundError):
        await asyncio.wait_for(waiting, timeout=5)


async def test_ssf_8_1_2_a_paused_stream_gives_nothing(world: World, stream):
    await queue(world, stream, "a")
    client = world.snapshot.clients[CRM]
    await streams.set_status(world.ports, client, stream.id, StreamStatus.PAUSED, None)
    assert (await fetch(world, stream)).sets == {}
    await streams.set_status(world.ports, client, stream.id, StreamStatus.ENABLED, None)
    assert list((await fetch(world, stream)).sets) == ["a"]


async def test_attack_another_receiver_polls_or_acknowledges(world: World, stream):
    await queue(world, stream, "a")
    a_receiver(world, "other")
    for wish in (NOW, Poll(max_events=0, ack=("a",)), Poll(max_events=0, set_errors={"a": "x"})):
        with pytest.raises(StreamNotFoundError):
            await fetch(world, stream, wish, "other")
    assert list((await fetch(world, stream)).sets) == ["a"]


async def test_what_does_not_exist_or_is_pushed_cannot_be_polled(world: World):
    pushed = await a_stream(world)
    with pytest.raises(InvalidRequestError):
        await fetch(world, pushed)
    with pytest.raises(StreamNotFoundError):
        await poll(world.ports, world.snapshot.clients[CRM], StreamId("none"), NOW, lambda: False)
