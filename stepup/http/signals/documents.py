"""Streams as they stand on the wire (SSF 1.0 section 8.1.1), and what a receiver says of one."""

from typing import Annotated, Any

import msgspec

from stepup.domain.errors import InvalidRequestError
from stepup.domain.signals import EVENTS_SUPPORTED
from stepup.domain.site import Site
from stepup.domain.streams import (
    MIN_VERIFICATION_INTERVAL,
    DeliveryMethod,
    Stream,
    StreamStatus,
)
from stepup.usecases.streams import Wish

# PostgreSQL keeps no NUL, and JSON may have one.
Text = Annotated[str, msgspec.Meta(pattern="^[^\\x00]*$", max_length=2048)]
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]


class DeliveryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How events reach the receiver; what it wants to see as Authorization is never shown again."""

    method: DeliveryMethod
    endpoint_url: Text | None = None


class DeliveryRequest(DeliveryDocument, frozen=True, kw_only=True):
    """The same as a receiver says it."""

    authorization_header: Text | None = None

    def __repr__(self) -> str:
        return f"DeliveryRequest({self.method}, {self.endpoint_url})"


class StreamDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stream's configuration."""

    stream_id: str
    iss: str
    aud: str
    delivery: DeliveryDocument
    events_supported: list[str]
    # Members with a default would be left out; an empty list says something.
    events_requested: list[str]
    events_delivered: list[str]
    min_verification_interval: int
    description: str | None = None


class CreateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver supplies for a new stream."""

    delivery: DeliveryRequest | None = None
    events_requested: list[Text] | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET


class ChangeRequest(CreateRequest, frozen=True, kw_only=True):
    """What a receiver changes; what we supply may be there, and must be as it is."""

    stream_id: Name
    iss: Any = msgspec.UNSET
    aud: Any = msgspec.UNSET
    events_supported: Any = msgspec.UNSET
    events_delivered: Any = msgspec.UNSET
    min_verification_interval: Any = msgspec.UNSET


class StatusRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether events shall flow."""

    stream_id: Name
    status: StreamStatus
    reason: Text | None = None


class StatusDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether events flow, and why not if somebody said so."""

    stream_id: str
    status: StreamStatus
    reason: str | None = None


class VerificationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """On which stream a verification event is wanted, and what it is to say."""

    stream_id: Name
    state: Text | None = None


class SubjectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a stream is, or is not, to tell of; `verified` changes nothing for us."""

    stream_id: Name
    subject: dict[str, Any]
    verified: bool = True


_OURS = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval")


def document_of(stream: Stream, site: Site) -> StreamDocument:
    """Write a stream's configuration."""
    delivery = stream.delivery
    is_polled = delivery.method is DeliveryMethod.POLL
    return StreamDocument(
        stream_id=stream.id,
        iss=site.issuer,
        aud=stream.audience,
        delivery=DeliveryDocument(
            method=delivery.method,
            endpoint_url=_poll_url(stream, site) if is_polled else delivery.endpoint_url,
        ),
        events_supported=list(EVENTS_SUPPORTED),
        events_requested=list(stream.events_requested),
        events_delivered=list(stream.events_delivered),
        min_verification_interval=round(MIN_VERIFICATION_INTERVAL.total_seconds()),
        description=stream.description,
    )


def status_of(stream: Stream) -> StatusDocument:
    """Write whether a stream's events flow."""
    return StatusDocument(stream_id=stream.id, status=stream.status, reason=stream.reason)


def wish_of(request: CreateRequest, current: StreamDocument | None = None) -> Wish:
    """Read what a receiver wants; for a poll we say where, and it may repeat that.

    Raises:
        InvalidRequestError: If it says of what we supply that it is another way (SSF 1.0 section
            8.1.1.3).
    """
    if isinstance(request, ChangeRequest) and current is not None:
        for name in _OURS:
            said = getattr(request, name)
            if said is not msgspec.UNSET and said not in (getattr(current, name), [current.aud]):
                raise InvalidRequestError(f"{name} is not the receiver's to change.")
    events = request.events_requested
    wish = Wish(
        events_requested=events if isinstance(events, msgspec.UnsetType) else tuple(events),
        description=request.description,
    )
    delivery = request.delivery
    if delivery is None:
        return wish
    url = delivery.endpoint_url
    if current is not None and delivery.method is DeliveryMethod.POLL:
        url = None if url == current.delivery.endpoint_url else url
    return msgspec.structs.replace(
        wish,
        method=delivery.method,
        endpoint_url=url,
        authorization_header=delivery.authorization_header,
    )


def _poll_url(stream: Stream, site: Site) -> str:
    return site.url(f"/v1/signals/poll/{stream.id}")
