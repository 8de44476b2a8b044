"""What the stores of security events promise, whichever engine is behind them."""

import asyncio
from datetime import timedelta

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.ids import ChallengeId, ClientId, SubjectId, TokenId
from stepup.domain.signal_source import Elevation
from stepup.domain.streams import (
    Delivery,
    DeliveryMethod,
    QueuedEvent,
    Stream,
    StreamId,
    StreamStatus,
)
from stepup.ports import Database, PushHealth
from tests.support.builders import a_subject, an_authenticator
from tests.support.determinism import NOON

MINUTE = timedelta(minutes=1)
PUSH = Delivery(
    method=DeliveryMethod.PUSH, endpoint_url="https://crm.example/events", sealed_header=b"\0\xff"
)


def a_stream(name: str = "s1", **changes: object) -> Stream:
    stream = Stream(
        id=StreamId(name),
        client_id=ClientId("crm"),
        audience="crm",
        created_at=NOON,
        delivery=PUSH,
        events_requested=("a", "b"),
        description="The CRM",
    )
    return msgspec.structs.replace(stream, **changes)


def an_event(name: str = "e1", stream: str = "s1", **changes: object) -> QueuedEvent:
    event = QueuedEvent(
        stream_id=StreamId(stream), id=name, type="t", claims=b'{"jti":1}', queued_at=NOON
    )
    return msgspec.structs.replace(event, **changes)


async def ids(database: Database, stream: Stream, count: int = 10) -> list[str]:
    async with database.transaction() as stores:
        return [each.id for each in await stores.signals.waiting(stream, count)]


class StreamStoreContract:
    """Subclass it and provide `database`: an empty one."""

    async def test_keeps_the_whole_stream(self, database: Database):
        stream = a_stream()
        async with database.transaction() as stores:
            await stores.streams.put(stream)
        async with database.transaction() as stores:
            assert await stores.streams.lock(stream.id) == stream
            assert await stores.streams.lock(StreamId("other")) is None

    async def test_a_stream_is_replaced(self, database: Database):
        async with database.transaction() as stores:
            await stores.streams.put(a_stream())
            paused = a_stream().with_status(StreamStatus.PAUSED, "why")
            await stores.streams.put(paused)
            assert await stores.streams.all() == [paused]

    async def test_finds_those_of_a_receiver_oldest_first(self, database: Database):
        streams = [
            a_stream("b"),
            a_stream("c", client_id=ClientId("other")),
            a_stream("a", created_at=NOON + MINUTE),
        ]
        async with database.transaction() as stores:
            for stream in reversed(streams):
                await stores.streams.put(stream)
            assert [s.id for s in await stores.streams.all()] == ["b", "c", "a"]
            found = await stores.streams.of_client(ClientId("crm"))
            assert [s.id for s in found] == ["b", "a"]

    async def test_a_removed_stream_takes_all_of_it_along(self, database: Database):
        async with database.transaction() as stores:
            for stream in (a_stream(), a_stream("s2")):
                await stores.streams.put(stream)
                await stores.signals.add([an_event(stream=stream.id)])
                await stores.streams.choose(stream.id, SubjectId("alice"), wanted=True)
            await stores.streams.remove(StreamId("s1"))
            assert await stores.streams.all() == [a_stream("s2")]
            assert await stores.streams.choices(SubjectId("alice")) == {"s2": True}
        assert await ids(database, a_stream()) == []
        assert await ids(database, a_stream("s2")) == ["e1"]

    async def test_the_last_word_about_a_subject_counts(self, database: Database):
        async with database.transaction() as stores:
            for wanted in (True, False):
                await stores.streams.choose(StreamId("s1"), SubjectId("alice"), wanted=wanted)
            assert await stores.streams.choices(SubjectId("alice")) == {"s1": False}
            assert await stores.streams.choices(SubjectId("bob")) == {}

    async def test_one_of_many_verifies(self, database: Database):
        async with database.transaction() as stores:
            await stores.streams.put(a_stream())

        async def verify(at=NOON) -> bool:
            async with database.transaction() as stores:
                return await stores.streams.verify(StreamId("s1"), at, at - MINUTE)

        assert sorted(await asyncio.gather(*(verify() for _ in range(8)))) == [False] * 7 + [True]
        assert not await verify(NOON + MINUTE - timedelta(seconds=1))
        assert await verify(NOON + MINUTE)

    async def test_one_of_many_gets_the_turn(self, database: Database):
        async with database.transaction() as stores:
            await stores.streams.put(a_stream())
            await stores.signals.add([an_event()])

        async def take(at=NOON):
            async with database.transaction() as stores:
                return await stores.streams.take_turn(at, at + MINUTE)

        turns = await asyncio.gather(*(take() for _ in range(8)))
        assert [turn.stream for turn in turns if turn] == [a_stream()]
        # Whoever died loses it.
        assert await take(NOON + MINUTE - timedelta(seconds=1)) is None
        assert (await take(NOON + MINUTE)).stream == a_stream()

    async def test_a_turn_ends_with_the_time_of_the_next_one(self, database: Database):
        async with database.transaction() as stores:
            await stores.streams.put(a_stream())
            await stores.signals.add([an_event()])
            await stores.streams.take_turn(NOON, NOON + MINUTE)
            await stores.streams.end_turn(StreamId("s1"), PushHealth(3, 1), NOON + MINUTE)
            assert await stores.streams.take_turn(NOON, NOON + MINUTE) is None
            turn = await stores.streams.take_turn(NOON + MINUTE, NOON + 2 * MINUTE)
            assert turn.health == PushHealth(3, 1)
            await stores.streams.put(a_stream(description="mended"))
            assert await stores.streams.take_turn(NOON, NOON + MINUTE) is None
            turn = await stores.streams.take_turn(NOON + 2 * MINUTE, NOON + 3 * MINUTE)
            assert turn.health == PushHealth()

    async def test_nobody_has_a_turn_where_nothing_may_leave(self, database: Database):
        streams = {
            "polled": a_stream("polled", delivery=Delivery()),
            "empty": a_stream("empty"),
            "aside": a_stream("aside"),
            "paused": a_stream("paused", status=StreamStatus.PAUSED),
            "disabled": a_stream("disabled", status=StreamStatus.DISABLED),
        }
        async with database.transaction() as stores:
            for name, stream in streams.items():
                await stores.streams.put(stream)
                if name != "empty":
                    await stores.signals.add([an_event(stream=name)])
            await stores.signals.set_aside(StreamId("aside"), {"e1": "x"})
            assert await stores.streams.take_turn(NOON, NOON + MINUTE) is None
            await stores.signals.add([an_event("e2", "paused", parting=True)])
            turn = await stores.streams.take_turn(NOON, NOON + MINUTE)
            assert turn.stream.id == "paused"


class SignalQueueContract:
    """Subclass it and provide `database`: an empty one."""

    async def test_keeps_events_whole_and_in_order(self, database: Database):
        events = [an_event(f"e{9 - n}", claims=b'{"n":"\xc3\xbc"}') for n in range(5)]
        async with database.transaction() as stores:
            await stores.signals.add(events[:3])
            await stores.signals.add([])
            await stores.signals.add(events[2:])
        async with database.transaction() as stores:
            assert await stores.signals.waiting(a_stream(), 10) == events
            assert await stores.signals.waiting(a_stream(), 2) == events[:2]
            assert await stores.signals.waiting(a_stream("s2"), 2) == []

    async def test_what_the_receiver_has_is_forgotten(self, database: Database):
        async with database.transaction() as stores:
            await stores.signals.add([an_event(name) for name in ("a", "b", "c")])
            assert await stores.signals.forget(StreamId("s1"), ["a", "c", "unknown"]) == 2
            assert await stores.signals.forget(StreamId("s2"), ["b"]) == 0
            assert await stores.signals.forget(StreamId("s1"), []) == 0
        assert await ids(database, a_stream()) == ["b"]

    async def test_all_that_waits_in_a_stream_is_dropped(self, database: Database):
        async with database.transaction() as stores:
            await stores.signals.add([an_event("a"), an_event("b"), an_event("c", "s2")])
            await stores.signals.set_aside(StreamId("s1"), {"b": "x"})
            await stores.signals.drop_waiting(StreamId("s1"))
            assert await stores.signals.backlog() == (1, NOON, 1)
        assert await ids(database, a_stream("s2")) == ["c"]

    async def test_counts_tries(self, database: Database):
        async with database.transaction() as stores:
            await stores.signals.add([an_event()])
            counted = [await stores.signals.tried(StreamId("s1"), "e1") for _ in range(3)]
            assert counted == [1, 2, 3]
            assert await stores.signals.tried(StreamId("s1"), "gone") == 0

    async def test_what_was_set_aside_is_out_of_the_way_until_it_returns(self, database: Database):
        async with database.transaction() as stores:
            await stores.signals.add([an_event(name) for name in ("a", "b", "c")])
            await stores.signals.tried(StreamId("s1"), "b")
            assert await stores.signals.set_aside(StreamId("s1"), {"b": "x", "gone": "y"}) == 1
            assert await stores.signals.set_aside(StreamId("s1"), {"b": "again"}) == 0
            [aside] = await stores.signals.aside(StreamId("s1"))
            assert (aside.id, aside.problem, aside.tries) == ("b", "x", 1)
        assert await ids(database, a_stream()) == ["a", "c"]
        async with database.transaction() as stores:
            assert await stores.signals.return_aside(StreamId("s1")) == 1
            waiting = await stores.signals.waiting(a_stream(), 3)
        assert [(each.id, each.tries) for each in waiting] == [("a", 0), ("b", 0), ("c", 0)]

    async def test_ssf_8_1_2_what_is_paused_is_held_and_what_is_disabled_is_not_sent(
        self, database: Database
    ):
        async with database.transaction() as stores:
            await stores.signals.add([an_event("a"), an_event("b", parting=True)])
        for status, leaves in (
            (StreamStatus.ENABLED, ["a", "b"]),
            (StreamStatus.PAUSED, ["b"]),
            (StreamStatus.DISABLED, []),
        ):
            assert await ids(database, a_stream(status=status)) == leaves

    async def test_old_events_are_dropped(self, database: Database):
        async with database.transaction() as stores:
            await stores.signals.add([an_event("a"), an_event("b", queued_at=NOON + MINUTE)])
            assert await stores.signals.expire(NOON) == 0
            assert await stores.signals.expire(NOON + MINUTE) == 1
        assert await ids(database, a_stream()) == ["b"]

    async def test_says_how_much_waits_and_since_when(self, database: Database):
        async with database.transaction() as stores:
            assert await stores.signals.backlog() == (0, None, 0)
            await stores.signals.add(
                [an_event("a"), an_event("b", queued_at=NOON + MINUTE), an_event("c", "s2")]
            )
            await stores.signals.set_aside(StreamId("s2"), {"c": "x"})
            assert await stores.signals.backlog() == (2, NOON, 1)


class SignalSourceContract:
    """Subclass it and provide `database`: an empty one."""

    async def test_knows_how_far_it_read(self, database: Database):
        async with database.transaction() as stores:
            assert await stores.signal_source.place() is None
            for position in (3, 7):
                await stores.signal_source.move(position)
            assert await stores.signal_source.place() == 7

    async def test_knows_who_is_who_after_the_last_authenticator_went(self, database: Database):
        authenticator = an_authenticator()
        subject = authenticator.subject
        async with database.transaction() as stores:
            assert await stores.signal_source.name(subject.id) is None
            await stores.authenticators.add(authenticator)
        for _ in range(2):
            async with database.transaction() as stores:
                assert await stores.signal_source.name(subject.id) == subject
                await stores.authenticators.remove(subject, authenticator.id)
        async with database.transaction() as stores:
            assert await stores.signal_source.name(a_subject("nobody").id) is None

    async def test_knows_who_is_elevated(self, database: Database):
        alice = SubjectId("alice")
        first = an_elevation("t1", authenticators=("a1", "k1"))
        second = an_elevation("t2", until=NOON + MINUTE, authenticators=())
        other = an_elevation("t3", subject_id=SubjectId("bob"))
        async with database.transaction() as stores:
            for each in (first, second, other, first):
                await stores.signal_source.begin(each)
            found = await stores.signal_source.elevations(alice)
            assert sorted(found, key=lambda e: e.token_id) == [first, second]
            assert await stores.signal_source.elevation(TokenId("t2")) == second
            await stores.signal_source.end([TokenId("t1"), TokenId("unknown")])
            await stores.signal_source.end([])
            assert await stores.signal_source.elevations(alice) == [second]
            assert await stores.signal_source.elevation(TokenId("t1")) is None

    async def test_knows_what_a_ceremony_gave(self, database: Database):
        async with database.transaction() as stores:
            for each in ("r1.a_b.1", "r1.a_b.2", "r1.axb.1", "r1.a_b"):
                await stores.signal_source.begin(an_elevation(each))
            given = await stores.signal_source.of_grant(ChallengeId("r1.a_b"))
            assert sorted(each.token_id for each in given) == ["r1.a_b.1", "r1.a_b.2"]

    async def test_knows_which_elevations_are_over(self, database: Database):
        over = [an_elevation(f"t{n}", until=NOON - n * MINUTE) for n in range(3)]
        async with database.transaction() as stores:
            for each in (*over, an_elevation("later", until=NOON + MINUTE)):
                await stores.signal_source.begin(each)
            assert await stores.signal_source.expired(NOON, 10) == over[::-1]
            assert await stores.signal_source.expired(NOON, 1) == over[2:]


def an_elevation(token_id: str, **changes: object) -> Elevation:
    elevation = Elevation(
        token_id=TokenId(token_id), subject_id=SubjectId("alice"), acr=Acr("phr"), until=NOON
    )
    return msgspec.structs.replace(elevation, **changes)
