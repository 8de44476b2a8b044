"""Let a receiver fetch its SETs (RFC 8936): again and again, until it says that it has them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from stepup.crypto import security_events
from stepup.domain.client import Client
from stepup.domain.errors import InvalidRequestError
from stepup.domain.streams import DeliveryMethod, QueuedEvent, Stream, StreamId
from stepup.ports import Ports
from stepup.usecases.signing import set_signer
from stepup.usecases.streams import own

MAX_EVENTS = 100
WAIT = timedelta(seconds=20)
"""How long a receiver that has nothing to fetch is kept waiting for something."""

_LOOK_EVERY = timedelta(milliseconds=500)


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver has, what it cannot use (each with the name of the error), what it wants."""

    max_events: int = MAX_EVENTS
    return_immediately: bool = False
    ack: tuple[str, ...] = ()
    set_errors: Mapping[str, str] = {}


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """Signed SETs by their `jti`, and whether there are more; how many were acknowledged before."""

    sets: dict[str, str]
    more_available: bool
    acknowledged: int
    set_aside: int


async def poll(
    ports: Ports, client: Client, stream_id: StreamId, poll_: Poll, is_over: Callable[[], bool]
) -> Polled:
    """Forget what the receiver has, and return what waits.

    Waits a while for something when there is nothing, unless the receiver is in a hurry, or
    `is_over` says that nobody should wait any more.

    Raises:
        StreamNotFoundError: If the receiver has no such stream.
        InvalidRequestError: If it is pushed to.
    """
    acknowledged, set_aside = await _acknowledge(ports, client, stream_id, poll_)
    count = min(poll_.max_events, MAX_EVENTS)
    until = ports.clock.now() + WAIT
    while True:
        events = await _waiting(ports, client, stream_id, count) if count else []
        in_a_hurry = poll_.return_immediately or not count or is_over()
        if events or in_a_hurry or ports.clock.now() >= until:
            break
        await asyncio.sleep(_LOOK_EVERY.total_seconds())
    key = set_signer(ports)
    return Polled(
        sets={each.id: security_events.sign(each.claims, key) for each in events[:count]},
        more_available=len(events) > count,
        acknowledged=acknowledged,
        set_aside=set_aside,
    )


async def _acknowledge(
    ports: Ports, client: Client, stream_id: StreamId, poll_: Poll
) -> tuple[int, int]:
    async with ports.database.transaction() as stores:
        _require_polled(await own(stores, client, stream_id))
        forgotten = await stores.signals.forget(stream_id, poll_.ack)
        return forgotten, await stores.signals.set_aside(stream_id, poll_.set_errors)


async def _waiting(
    ports: Ports, client: Client, stream_id: StreamId, count: int
) -> Sequence[QueuedEvent]:
    # Looked up each time: it may be paused, changed or gone by now.
    async with ports.database.transaction() as stores:
        stream = _require_polled(await own(stores, client, stream_id))
        return await stores.signals.waiting(stream, count + 1)


def _require_polled(stream: Stream) -> Stream:
    if stream.delivery.method is not DeliveryMethod.POLL:
        raise InvalidRequestError("This stream is pushed.")
    return stream
