"""SETs are pushed in order, until the receiver has them, and nobody waits for another receiver."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import jwts
from stepup.domain.pushing import MAX_SET_ASIDE, MAX_TRIES, Again, Delivered, Refused
from stepup.domain.signals import EventType
from stepup.domain.streams import RETENTION, QueuedEvent, Stream, StreamStatus
from stepup.usecases import push_signals, streams
from stepup.usecases.push_signals import TURN, push_once, tidy
from stepup.usecases.streams import Wish
from tests.support.receivers import (
    CRM,
    ENDPOINT,
    PUSHED,
    SET_KEY,
    Noted,
    PretendPusher,
    a_receiver,
    a_stream,
    waiting,
)
from tests.support.world import World

MINUTE = timedelta(minutes=1)
LONGEST = timedelta(minutes=5)


async def queue(world: World, stream: Stream, *names: str) -> None:
    claims = '{{"iss":"i","jti":"{0}","iat":1,"aud":"crm","events":{{"urn:{0}":{{}}}}}}'
    async with world.ports.database.transaction() as stores:
        await stores.signals.add(
            [
                QueuedEvent(
                    stream_id=stream.id,
                    id=name,
                    type=f"urn/{name}",
                    claims=claims.format(name).encode(),
                    queued_at=world.clock.now(),
                )
                for name in names
            ]
        )


async def current(world: World, stream: Stream) -> Stream:
    async with world.ports.database.transaction() as stores:
        return await stores.streams.lock(stream.id)


async def serve(world: World, pusher: PretendPusher, watch: Noted | None = None) -> None:
    """Push until nothing may leave at the moment."""
    while await push_once(world.ports, pusher, watch or Noted()):
        pass


def ids(pusher: PretendPusher) -> list[str]:
    return [claims["jti"] for claims in pusher.claims]


async def test_rfc8935_2_1_events_are_pushed_in_order_and_forgotten(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b", "c")
    pusher, watch = PretendPusher(), Noted()
    await serve(world, pusher, watch)
    assert ids(pusher) == ["a", "b", "c"]
    url, text, authorization = pusher.sent[0]
    assert (url, authorization) == (ENDPOINT, "Bearer of-the-crm")
    assert jwts.peek(text) == jwts.Header(alg="RS256", typ="secevent+jwt", kid=SET_KEY.id)
    assert watch.heard == [("delivered", name) for name in "abc"]
    assert await waiting(world, stream) == []


async def test_more_than_one_turn_sends_at_once_is_sent_in_the_next(world: World):
    stream = await a_stream(world)
    names = [f"e{n:02}" for n in range(push_signals.BATCH + 5)]
    await queue(world, stream, *names)
    pusher = PretendPusher()
    await serve(world, pusher)
    assert ids(pusher) == names


async def test_what_fails_is_tried_again_later_and_nothing_overtakes_it(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b")
    pusher, watch = PretendPusher(lambda _: Again("unreachable", counts=False)), Noted()
    await serve(world, pusher, watch)
    assert (ids(pusher), watch.heard) == (["a"], [("failed", "unreachable")])
    await serve(world, pusher)
    assert ids(pusher) == ["a"]
    world.clock.advance(timedelta(seconds=2))
    pusher.answer = lambda _: Delivered()
    await serve(world, pusher)
    assert ids(pusher) == ["a", "a", "b"]


async def test_a_receiver_that_is_away_loses_nothing_for_hours(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b")
    pusher = PretendPusher(lambda _: Again("unreachable", counts=False))
    for _ in range(50):
        await serve(world, pusher)
        world.clock.advance(LONGEST)
    pusher.answer = lambda _: Delivered()
    await serve(world, pusher)
    assert ids(pusher)[-2:] == ["a", "b"]
    assert (await current(world, stream)).status is StreamStatus.ENABLED


async def test_rfc8935_2_3_what_is_refused_is_set_aside_and_the_next_one_sent(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b")
    pusher, watch = PretendPusher(), Noted()
    pusher.answer = lambda c: Refused("invalid_key") if c["jti"] == "a" else Delivered()
    await serve(world, pusher, watch)
    assert ids(pusher) == ["a", "b"]
    assert watch.heard == [("set_aside", "invalid_key"), ("delivered", "b")]
    async with world.ports.database.transaction() as stores:
        assert [e.problem for e in await stores.signals.aside(stream.id)] == ["invalid_key"]


async def test_poison_that_a_receiver_cannot_bear_is_set_aside_after_some_tries(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "poison", "b")
    pusher, watch = PretendPusher(), Noted()
    pusher.answer = lambda c: Again("http_500") if c["jti"] == "poison" else Delivered()
    for _ in range(MAX_TRIES):
        await serve(world, pusher, watch)
        world.clock.advance(LONGEST)
    assert ids(pusher) == ["poison"] * MAX_TRIES + ["b"]
    assert watch.heard[-2:] == [("set_aside", "http_500"), ("delivered", "b")]


async def test_attack_a_poisoned_receiver_blocks_nobody_else(world: World):
    poisoned = await a_stream(world)
    a_receiver(world, "other")
    well = Wish(method=PUSHED.method, endpoint_url="https://other.example/events")
    other = await a_stream(world, well, client_id="other")
    for stream in (poisoned, other):
        await queue(world, stream, "a")
    stuck, reached = asyncio.Event(), asyncio.Event()

    class Pusher(PretendPusher):
        async def push(self, url: str, text: str, authorization: str | None):
            if url == ENDPOINT:
                await stuck.wait()
            else:
                reached.set()
            return await super().push(url, text, authorization)

    task = asyncio.create_task(push_signals.push(world.ports, Pusher(), Noted()))
    await asyncio.wait_for(reached.wait(), timeout=5)
    task.cancel()
    await asyncio.wait([task])
    assert await waiting(world, poisoned)


async def test_ssf_8_1_5_a_stream_is_paused_after_saying_so(world: World):
    stream = await a_stream(world)
    names = [f"e{n}" for n in range(MAX_SET_ASIDE)]
    await queue(world, stream, *names)
    pusher, watch = PretendPusher(lambda _: Refused("invalid_issuer")), Noted()
    await push_once(world.ports, pusher, watch)
    paused = await current(world, stream)
    assert paused.status is StreamStatus.PAUSED
    assert paused.reason
    assert watch.heard[-1] == ("paused",)
    # What comes now is held; only the farewell leaves.
    await queue(world, stream, "held")
    pusher.answer = lambda _: Delivered()
    await serve(world, pusher)
    farewell = pusher.claims[-1]
    [(kind, payload)] = farewell["events"].items()
    assert kind == EventType.STREAM_UPDATED
    assert payload == {"status": "paused", "reason": paused.reason}
    assert farewell["sub_id"] == {"format": "opaque", "id": stream.id}
    client = world.snapshot.clients[CRM]
    await streams.set_status(world.ports, client, stream.id, StreamStatus.ENABLED, None)
    await serve(world, pusher)
    assert ids(pusher)[-1] == "held"


async def test_a_delivery_in_between_forgives(world: World):
    stream = await a_stream(world)
    await queue(world, stream, *(f"e{n}" for n in range(2 * MAX_SET_ASIDE)))
    answers = iter(range(100))
    pusher = PretendPusher(lambda _: Refused("x") if next(answers) % 4 else Delivered())
    await serve(world, pusher)
    assert (await current(world, stream)).status is StreamStatus.ENABLED


async def test_a_dead_instance_loses_its_turn_and_the_next_one_sends_again(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a")

    class Dying(PretendPusher):
        async def push(self, url: str, text: str, authorization: str | None):
            await super().push(url, text, authorization)
            raise SystemExit

    dying, next_one = Dying(), PretendPusher()
    with pytest.raises(SystemExit):
        await push_once(world.ports, dying, Noted())
    assert ids(dying) == ["a"]
    assert not await push_once(world.ports, next_one, Noted())
    world.clock.advance(TURN)
    await serve(world, next_one)
    assert ids(next_one) == ["a"]


async def test_of_many_instances_one_pushes_a_stream(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b", "c")
    pusher = PretendPusher()
    await asyncio.gather(*(push_once(world.ports, pusher, Noted()) for _ in range(8)))
    assert ids(pusher) == ["a", "b", "c"]


async def test_ssf_8_1_2_a_stream_paused_meanwhile_is_sent_nothing_more(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b")
    client = world.snapshot.clients[CRM]

    class Pausing(PretendPusher):
        async def push(self, url: str, text: str, authorization: str | None):
            await streams.set_status(world.ports, client, stream.id, StreamStatus.PAUSED, None)
            return await super().push(url, text, authorization)

    pusher = Pausing()
    await serve(world, pusher)
    assert ids(pusher) == ["a"]


@pytest.mark.parametrize("changes", [{"disabled": True}, {"roles": frozenset()}, None])
async def test_attack_a_client_that_was_shut_out_is_sent_what_waited_for_it(world: World, changes):
    stream = await a_stream(world)
    await queue(world, stream, "a", "b")
    client = world.snapshot.clients.pop(CRM)
    if changes is not None:
        world.snapshot.clients[CRM] = msgspec.structs.replace(client, **changes)
    pusher = PretendPusher()
    await serve(world, pusher)
    assert pusher.sent == []

    world.snapshot.clients[CRM] = client
    world.clock.advance(timedelta(minutes=1))
    await serve(world, pusher)
    assert ids(pusher) == ["a", "b"]


async def test_what_nobody_fetches_is_dropped_after_a_week_and_counted(world: World):
    stream = await a_stream(world)
    await queue(world, stream, "old")
    world.clock.advance(RETENTION + timedelta(seconds=1))
    await queue(world, stream, "new")
    watch = Noted()
    await tidy(world.ports, watch)
    assert watch.heard == [("expired", 1), ("waits", 1, 0)]
