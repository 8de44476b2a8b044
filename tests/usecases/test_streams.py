"""A receiver looks after its own streams, and after nobody else's."""

import asyncio

import msgspec
import pytest

from stepup.domain.errors import InvalidRequestError
from stepup.domain.signal_errors import (
    StreamNotFoundError,
    SubjectNotRecognizedError,
    TooManyStreamsError,
    VerificationTooSoonError,
)
from stepup.domain.signals import EVENTS_SUPPORTED, EventType
from stepup.domain.streams import (
    MAX_STREAMS,
    MIN_VERIFICATION_INTERVAL,
    Delivery,
    DeliveryMethod,
    StreamStatus,
)
from stepup.usecases import streams
from stepup.usecases.streams import Wish
from tests.support.receivers import CRM, ENDPOINT, PUSHED, a_receiver, a_stream, waiting
from tests.support.world import IDP, World
from tests.usecases.test_push_signals import queue

ALICE = {"format": "iss_sub", "iss": IDP, "sub": "alice"}


async def test_ssf_8_1_1_1_without_a_delivery_a_stream_is_polled(world: World):
    client = a_receiver(world)
    stream = await streams.create(world.ports, client, Wish())
    assert stream.delivery == Delivery()
    assert stream.delivery.method is DeliveryMethod.POLL
    assert (stream.audience, stream.events_delivered) == (CRM, EVENTS_SUPPORTED)
    assert await streams.get(world.ports, client, stream.id) == stream
    assert await streams.all_of(world.ports, client) == [stream]


async def test_a_header_is_kept_sealed(world: World):
    stream = await a_stream(world)
    assert b"of-the-crm" not in stream.delivery.sealed_header
    again = await a_stream(world)
    assert again.delivery.sealed_header != stream.delivery.sealed_header


async def test_ssf_8_1_1_1_a_receiver_has_so_many_streams_and_no_more(world: World):
    client = a_receiver(world)
    for _ in range(MAX_STREAMS):
        await streams.create(world.ports, client, Wish())
    with pytest.raises(TooManyStreamsError):
        await streams.create(world.ports, client, Wish())
    await streams.create(world.ports, a_receiver(world, "other"), Wish())


async def test_ssf_8_1_1_3_an_update_changes_what_it_mentions(world: World):
    client = a_receiver(world)
    stream = await streams.create(
        world.ports,
        client,
        msgspec.structs.replace(PUSHED, events_requested=("x",), description="first"),
    )
    changed = await streams.update(world.ports, client, stream.id, Wish(description="second"))
    assert changed == msgspec.structs.replace(stream, description="second")
    changed = await streams.update(
        world.ports, client, stream.id, Wish(method=DeliveryMethod.POLL, events_requested=("y",))
    )
    assert changed.delivery == Delivery()
    assert (changed.events_requested, changed.description) == (("y",), "second")


async def test_ssf_8_1_1_4_a_replacement_deletes_what_it_does_not_mention(world: World):
    client = a_receiver(world)
    wish = msgspec.structs.replace(PUSHED, events_requested=("x",), description="first")
    stream = await streams.create(world.ports, client, wish)
    without_header = Wish(method=DeliveryMethod.PUSH, endpoint_url=ENDPOINT)
    changed = await streams.replace(world.ports, client, stream.id, without_header)
    assert (changed.events_requested, changed.description) == ((), None)
    assert changed.delivery.sealed_header is None
    assert changed.created_at == stream.created_at


@pytest.mark.parametrize(
    "wish",
    [
        Wish(method=DeliveryMethod.PUSH),
        Wish(method=DeliveryMethod.PUSH, endpoint_url="http://crm.example/"),
        Wish(method=DeliveryMethod.PUSH, endpoint_url="https://169.254.169.254/"),
        Wish(method=DeliveryMethod.POLL, endpoint_url=ENDPOINT),
        msgspec.structs.replace(PUSHED, authorization_header="a\r\nb: c"),
    ],
)
async def test_attack_an_address_or_a_header_that_cannot_be_served(world: World, wish: Wish):
    client = a_receiver(world)
    world.ports = world.ports._replace(site=msgspec.structs.replace(world.site, development=False))
    stream = await streams.create(world.ports, client, Wish())
    for attempt in (
        streams.create(world.ports, client, wish),
        streams.update(world.ports, client, stream.id, wish),
        streams.replace(world.ports, client, stream.id, wish),
    ):
        with pytest.raises(InvalidRequestError):
            await attempt
    assert await streams.all_of(world.ports, client) == [stream]


async def test_attack_the_stream_of_another_receiver(world: World):
    stream = await a_stream(world)
    other, ports = a_receiver(world, "other"), world.ports
    for attempt in (
        streams.get(ports, other, stream.id),
        streams.update(ports, other, stream.id, Wish(description="mine")),
        streams.replace(ports, other, stream.id, Wish()),
        streams.delete(ports, other, stream.id),
        streams.set_status(ports, other, stream.id, StreamStatus.DISABLED, None),
        streams.verify(ports, other, stream.id, None),
        streams.choose_subject(ports, other, stream.id, ALICE, wanted=False),
    ):
        with pytest.raises(StreamNotFoundError):
            await attempt
    assert await streams.all_of(ports, other) == []
    assert await streams.get(ports, world.snapshot.clients[CRM], stream.id) == stream


async def test_ssf_8_1_1_5_a_deleted_stream_is_gone_with_what_waited(world: World):
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    await queue(world, stream, "a")
    await streams.delete(world.ports, client, stream.id)
    with pytest.raises(StreamNotFoundError):
        await streams.get(world.ports, client, stream.id)
    async with world.ports.database.transaction() as stores:
        assert (await stores.signals.backlog()).waiting == 0


async def test_ssf_8_1_2_a_disabled_stream_forgets_what_waited_and_a_paused_one_does_not(
    world: World,
):
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    await queue(world, stream, "a")
    for status, left in ((StreamStatus.PAUSED, 1), (StreamStatus.DISABLED, 0)):
        changed = await streams.set_status(world.ports, client, stream.id, status, "why")
        assert (changed.status, changed.reason) == (status, "why")
        async with world.ports.database.transaction() as stores:
            assert (await stores.signals.backlog()).waiting == left


async def test_ssf_8_1_4_a_verification_event_echoes_the_state(world: World):
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    await streams.verify(world.ports, client, stream.id, "VGhpcw==")
    [event] = await waiting(world, stream)
    assert (event.type, event.payload) == (EventType.VERIFICATION, {"state": "VGhpcw=="})
    assert event.sub_id == {"format": "opaque", "id": stream.id}


async def test_attack_a_flood_of_verifications(world: World):
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    asked = [streams.verify(world.ports, client, stream.id, None) for _ in range(20)]
    refused = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, VerificationTooSoonError) for each in refused) == 19
    assert len(await waiting(world, stream)) == 1
    world.clock.advance(MIN_VERIFICATION_INTERVAL)
    await streams.verify(world.ports, client, stream.id, None)
    assert len(await waiting(world, stream)) == 2


async def test_ssf_8_1_5_an_operator_lets_a_stream_flow_again_and_says_so(world: World):
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    await queue(world, stream, "a", "b")
    async with world.ports.database.transaction() as stores:
        await stores.signals.set_aside(stream.id, {"a": "invalid_key"})
    await streams.set_status(world.ports, client, stream.id, StreamStatus.PAUSED, "why")
    assert await streams.resume(world.ports, stream.id) == 1
    resumed = await streams.get(world.ports, client, stream.id)
    assert (resumed.status, resumed.reason) == (StreamStatus.ENABLED, None)
    *others, told = await waiting(world, stream)
    assert [event.id for event in others] == ["a", "b"]
    assert (told.type, told.payload) == (EventType.STREAM_UPDATED, {"status": "enabled"})
    with pytest.raises(StreamNotFoundError):
        await streams.resume(world.ports, "none")


@pytest.mark.parametrize(
    "subject",
    [
        {"format": "email", "email": "alice@example.com"},
        {"format": "iss_sub", "iss": "https://other.example", "sub": "alice"},
        {"format": "opaque", "id": "alice"},
        {},
    ],
)
async def test_ssf_8_1_3_2_a_subject_that_is_nobodys_business(world: World, subject):
    stream = await a_stream(world)
    for wanted in (True, False):
        with pytest.raises(SubjectNotRecognizedError):
            await streams.choose_subject(
                world.ports, world.snapshot.clients[CRM], stream.id, subject, wanted=wanted
            )
