"""Event streams: to whom our security events go, which of them, and how (SSF 1.0 section 8.1).

```
             receiver, or an operator            receiver
   enabled ─────────────────────────▶ paused ───────────────▶ disabled
      ▲    too many were set aside     │ events are held        │ events are not kept
      └────────────────────────────────┴────────────────────────┘
```
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import NewType
from urllib.parse import SplitResult, urlsplit

import msgspec

from stepup.domain.addresses import is_public
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ClientId
from stepup.domain.signals import EVENTS_SUPPORTED, EventType

StreamId = NewType("StreamId", str)

MIN_VERIFICATION_INTERVAL = timedelta(minutes=1)
MAX_STREAMS = 8
"""How many streams a receiver may have; each is work for every event."""
RETENTION = timedelta(days=7)
"""How long an event waits for its receiver; whoever is away longer reads how things stand."""

_MAX_REQUESTED = 64
_MAX_URL = 2048
_MAX_TEXT = 1024
# RFC 9110 section 5.5: what a field value may hold, so that nobody adds a header of his own.
_FIELD_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class StreamStatus(StrEnum):
    """Whether events flow."""

    ENABLED = "enabled"
    PAUSED = "paused"
    """Events are held."""
    DISABLED = "disabled"
    """Events are not kept."""


class DeliveryMethod(StrEnum):
    """Who calls whom."""

    PUSH = "urn:ietf:rfc:8935"
    POLL = "urn:ietf:rfc:8936"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How events reach the receiver; the address is its own, and only for push.

    `sealed_header` is what it wants to see in the Authorization header.
    """

    method: DeliveryMethod = DeliveryMethod.POLL
    endpoint_url: str | None = None
    sealed_header: bytes | None = None

    def __repr__(self) -> str:
        return f"Delivery({self.method.name}, {self.endpoint_url})"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of one receiver; `audience` is what its events carry as `aud`.

    `everybody` when it covers every subject that was not taken out, and not only those added.
    """

    id: StreamId
    client_id: ClientId
    audience: str
    created_at: datetime
    delivery: Delivery = Delivery()
    events_requested: tuple[str, ...] = ()
    description: str | None = None
    everybody: bool = True
    status: StreamStatus = StreamStatus.ENABLED
    reason: str | None = None

    @property
    def events_delivered(self) -> tuple[EventType, ...]:
        """What was asked for and exists; all there is when nothing was asked for."""
        if not self.events_requested:
            return EVENTS_SUPPORTED
        return tuple(each for each in EVENTS_SUPPORTED if each in self.events_requested)

    def wants(self, kind: EventType, *, chosen: bool | None) -> bool:
        """Say whether an event belongs into it; `chosen` is what it said of the subject, if it did.

        The events about the stream itself always do.
        """
        if self.status is StreamStatus.DISABLED:
            return False
        covered = self.everybody if chosen is None else chosen
        return covered and kind in self.events_delivered

    def with_status(self, status: StreamStatus, reason: str | None) -> "Stream":
        """Return it in another state."""
        return msgspec.structs.replace(self, status=status, reason=reason)


class QueuedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A SET that waits for its receiver: the claims, which are signed when they leave.

    `parting` for the one that says why nothing comes any more: it goes out when all else is held.
    """

    stream_id: StreamId
    id: str
    type: str
    claims: bytes
    queued_at: datetime
    parting: bool = False
    tries: int = 0
    problem: str | None = None


def checked(stream: Stream, *, development: bool) -> Stream:
    """Return a stream whose receiver-supplied members can be served.

    Raises:
        InvalidRequestError: If one of them cannot.
    """
    delivery = stream.delivery
    if delivery.method is DeliveryMethod.PUSH:
        if delivery.endpoint_url is None:
            raise InvalidRequestError("delivery.endpoint_url is missing.")
        check_endpoint(delivery.endpoint_url, development=development)
    elif delivery.endpoint_url is not None or delivery.sealed_header is not None:
        # SSF 1.0 section 6.1.2: for poll the transmitter says where.
        raise InvalidRequestError("Of a polled stream only delivery.method is the receiver's.")
    texts = [*stream.events_requested, stream.description or "", stream.reason or ""]
    if len(stream.events_requested) > _MAX_REQUESTED or any(len(t) > _MAX_TEXT for t in texts):
        raise InvalidRequestError("The stream says too much.")
    return stream


def check_header(value: str) -> None:
    """Return when a receiver may have this said in the Authorization header.

    Raises:
        InvalidRequestError: If it is no field value.
    """
    if len(value) > _MAX_URL or not _FIELD_VALUE.fullmatch(value):
        raise InvalidRequestError("delivery.authorization_header is no field value.")


def check_endpoint(url: str, *, development: bool) -> None:
    """Return when a receiver may name this address for us to call.

    A name is looked up when it is called, every time: what it leads to is checked then.

    Raises:
        InvalidRequestError: If it is not https, or is an address that is not public. In
            development this machine may be named, and http used for it.
    """
    parts = _split(url)
    host = parts.hostname or ""
    here = development and (host == "localhost" or is_loopback(host))
    if parts.scheme != "https" and not (here and parts.scheme == "http"):
        raise InvalidRequestError("delivery.endpoint_url must use https.")
    if not host or "@" in parts.netloc or parts.fragment or not (here or may_be_public(host)):
        raise InvalidRequestError("delivery.endpoint_url names no public address.")


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_public(host: str) -> bool:
    """Say whether a host is no address at all, or one that everybody can reach."""
    try:
        return is_public(host)
    except ValueError:
        return host != "localhost" and not host.endswith((".localhost", ".local", ".internal"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidRequestError("delivery.endpoint_url is no URL.") from None
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequestError("delivery.endpoint_url is no URL.")
    return parts
