"""Event streams: a receiver makes, reads, changes and ends its own (SSF 1.0 section 8.1)."""

from collections.abc import Mapping, Sequence

import msgspec

from stepup.crypto import stream_headers
from stepup.domain.client import Client, Role
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import SubjectId
from stepup.domain.signal_errors import (
    StreamNotFoundError,
    SubjectNotRecognizedError,
    TooManyStreamsError,
    VerificationTooSoonError,
)
from stepup.domain.signals import EventType, Signal, stream_identifier, subject_of
from stepup.domain.streams import (
    MAX_STREAMS,
    MIN_VERIFICATION_INTERVAL,
    Delivery,
    DeliveryMethod,
    Stream,
    StreamId,
    StreamStatus,
    check_header,
    checked,
)
from stepup.ports import Ports, Stores
from stepup.usecases.tell_signals import addressed, may_hear_of

_MAX_STATE = 1024


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver says of a stream; what it does not mention is UNSET.

    `authorization_header` is in clear here and nowhere else.
    """

    method: DeliveryMethod | msgspec.UnsetType = msgspec.UNSET
    endpoint_url: str | None = None
    authorization_header: str | None = None
    events_requested: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        return f"Wish({self.method}, {self.endpoint_url})"


async def create(ports: Ports, client: Client, wish: Wish) -> Stream:
    """Make a stream; without a delivery method it is polled.

    Raises:
        InvalidRequestError: If it cannot be served.
        TooManyStreamsError: If the receiver has as many as it may have.
    """
    empty = Stream(
        id=StreamId(ports.entropy.token(16)),
        client_id=client.client_id,
        audience=client.client_id,
        created_at=ports.clock.now(),
        everybody=ports.site.signals_about_everybody,
    )
    stream = _replaced(ports, empty, wish)
    async with ports.database.transaction() as stores:
        if len(await stores.streams.of_client(client.client_id)) >= MAX_STREAMS:
            raise TooManyStreamsError
        await stores.streams.put(stream)
    return stream


async def all_of(ports: Ports, client: Client) -> Sequence[Stream]:
    """Return the receiver's streams."""
    async with ports.database.transaction() as stores:
        return await stores.streams.of_client(client.client_id)


async def get(ports: Ports, client: Client, stream_id: StreamId) -> Stream:
    """Return one of the receiver's streams.

    Raises:
        StreamNotFoundError: If it has no such stream.
    """
    async with ports.database.transaction() as stores:
        return await own(stores, client, stream_id)


async def update(ports: Ports, client: Client, stream_id: StreamId, wish: Wish) -> Stream:
    """Change what the receiver mentions (SSF 1.0 section 8.1.1.3).

    Raises:
        StreamNotFoundError: If it has no such stream.
        InvalidRequestError: If it could not be served.
    """
    async with ports.database.transaction() as stores:
        stream = await own(stores, client, stream_id)
        changes: dict[str, object] = {
            name: getattr(wish, name)
            for name in ("events_requested", "description")
            if getattr(wish, name) is not msgspec.UNSET
        }
        if wish.method is not msgspec.UNSET:
            changes["delivery"] = _delivery(ports, stream.id, wish)
        changed = _checked(ports, msgspec.structs.replace(stream, **changes))
        await stores.streams.put(changed)
    return changed


async def replace(ports: Ports, client: Client, stream_id: StreamId, wish: Wish) -> Stream:
    """Change everything; what the receiver does not mention is gone (SSF 1.0 section 8.1.1.4).

    Raises:
        StreamNotFoundError: If it has no such stream.
        InvalidRequestError: If it could not be served.
    """
    async with ports.database.transaction() as stores:
        stream = await own(stores, client, stream_id)
        changed = _replaced(ports, stream, wish)
        await stores.streams.put(changed)
    return changed


async def delete(ports: Ports, client: Client, stream_id: StreamId) -> None:
    """End a stream, with all that waits in it.

    Raises:
        StreamNotFoundError: If the receiver has no such stream.
    """
    async with ports.database.transaction() as stores:
        await own(stores, client, stream_id)
        await stores.streams.remove(stream_id)


async def set_status(
    ports: Ports, client: Client, stream_id: StreamId, status: StreamStatus, reason: str | None
) -> Stream:
    """Let events flow, be held, or not be kept at all (SSF 1.0 section 8.1.2.2).

    Raises:
        StreamNotFoundError: If the receiver has no such stream.
        InvalidRequestError: If the reason is too long.
    """
    async with ports.database.transaction() as stores:
        stream = await own(stores, client, stream_id)
        changed = _checked(ports, stream.with_status(status, reason))
        await stores.streams.put(changed)
        if status is StreamStatus.DISABLED:
            await stores.signals.drop_waiting(stream_id)
    return changed


async def verify(ports: Ports, client: Client, stream_id: StreamId, state: str | None) -> None:
    """Send a verification event down the stream (SSF 1.0 section 8.1.4.2).

    Raises:
        StreamNotFoundError: If the receiver has no such stream.
        VerificationTooSoonError: If it asked a moment ago.
    """
    if state is not None and len(state) > _MAX_STATE:
        raise InvalidRequestError("state is too long.")
    now = ports.clock.now()
    async with ports.database.transaction() as stores:
        stream = await own(stores, client, stream_id)
        if not await stores.streams.verify(stream_id, now, now - MIN_VERIFICATION_INTERVAL):
            raise VerificationTooSoonError(MIN_VERIFICATION_INTERVAL)
        payload = {} if state is None else {"state": state}
        signal = about(ports, stream, EventType.VERIFICATION, payload)
        await stores.signals.add([addressed(ports, signal, stream)])


async def choose_subject(
    ports: Ports,
    client: Client,
    stream_id: StreamId,
    subject: Mapping[str, object],
    *,
    wanted: bool,
) -> None:
    """Add a subject to a stream, or take it out (SSF 1.0 section 8.1.3).

    Whether anybody of that name exists is not said: it would tell who uses this service.

    Raises:
        StreamNotFoundError: If the receiver has no such stream.
        SubjectNotRecognizedError: If it names nobody whom the receiver may hear of.
    """
    async with ports.database.transaction() as stores:
        stream = await own(stores, client, stream_id)
        named = subject_of(subject)
        if named is None or not may_hear_of(ports, stream, named):
            raise SubjectNotRecognizedError
        await stores.streams.choose(stream.id, SubjectId(named.id), wanted=wanted)


async def own(stores: Stores, client: Client, stream_id: StreamId) -> Stream:
    """Return a stream of the receiver's own, locked.

    Raises:
        StreamNotFoundError: If there is none, or it is somebody else's: both look the same.
    """
    stream = await stores.streams.lock(stream_id)
    if stream is None or stream.client_id != client.client_id or not client.may(Role.SSF):
        raise StreamNotFoundError
    return stream


async def resume(ports: Ports, stream_id: StreamId) -> int:
    """Let events flow on an operator's word, those set aside too; returns how many those were.

    Raises:
        StreamNotFoundError: If there is no such stream.
    """
    async with ports.database.transaction() as stores:
        stream = await stores.streams.lock(stream_id)
        if stream is None:
            raise StreamNotFoundError
        returned = await stores.signals.return_aside(stream_id)
        if stream.status is not StreamStatus.ENABLED:
            # SSF 1.0 section 8.1.5: who enables a stream by himself says so.
            payload = {"status": StreamStatus.ENABLED.value}
            told = about(ports, stream, EventType.STREAM_UPDATED, payload)
            await stores.signals.add([addressed(ports, told, stream)])
        await stores.streams.put(stream.with_status(StreamStatus.ENABLED, None))
    return returned


def about(ports: Ports, stream: Stream, kind: EventType, payload: Mapping[str, str]) -> Signal:
    """Make an event about a stream itself."""
    return Signal(
        type=kind,
        payload=payload,
        sub_id=stream_identifier(stream.id),
        transaction=ports.entropy.token(15),
    )


def _replaced(ports: Ports, stream: Stream, wish: Wish) -> Stream:
    events = wish.events_requested
    description = wish.description
    replaced = msgspec.structs.replace(
        stream,
        delivery=_delivery(ports, stream.id, wish),
        events_requested=() if events is msgspec.UNSET else events,
        description=None if description is msgspec.UNSET else description,
    )
    return _checked(ports, replaced)


def _delivery(ports: Ports, stream_id: StreamId, wish: Wish) -> Delivery:
    # SSF 1.0 section 8.1.1.1: without a delivery the stream is polled.
    method = DeliveryMethod.POLL if wish.method is msgspec.UNSET else wish.method
    sealed = None
    if wish.authorization_header is not None:
        check_header(wish.authorization_header)
        root = ports.snapshot.keyring.root
        sealed = stream_headers.seal(
            wish.authorization_header, root, stream_id, ports.entropy.bytes
        )
    return Delivery(method=method, endpoint_url=wish.endpoint_url, sealed_header=sealed)


def _checked(ports: Ports, stream: Stream) -> Stream:
    return checked(stream, development=ports.site.development)
