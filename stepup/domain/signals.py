"""Security events to and from others: what a SET says (RFC 8417, SSF 1.0, CAEP 1.0).

How it is signed and read is `crypto/security_events.py`'s business, to whom it goes that of
`streams.py`, and which of our own facts become one that of `signal_source.py`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from stepup.domain.ids import Subject

_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
_SSF = "https://schemas.openid.net/secevent/ssf/event-type/"


class EventType(StrEnum):
    """The events that we send, or act upon; every other one is read and passed over."""

    ASSURANCE_LEVEL_CHANGE = f"{_CAEP}assurance-level-change"
    CREDENTIAL_CHANGE = f"{_CAEP}credential-change"
    SESSION_REVOKED = f"{_CAEP}session-revoked"
    RISK_LEVEL_CHANGE = f"{_CAEP}risk-level-change"
    VERIFICATION = f"{_SSF}verification"
    STREAM_UPDATED = f"{_SSF}stream-updated"


EVENTS_SUPPORTED = (
    EventType.ASSURANCE_LEVEL_CHANGE,
    EventType.CREDENTIAL_CHANGE,
    EventType.SESSION_REVOKED,
)
"""What a stream may ask for; verification and stream-updated belong to every stream."""


class Initiator(StrEnum):
    """Who began what an event tells of (CAEP 1.0 section 2)."""

    ADMIN = "admin"
    USER = "user"
    POLICY = "policy"
    SYSTEM = "system"


class SecurityEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What one SET says: exactly one event about exactly one subject.

    `sub_id` is a subject identifier of RFC 9493 as it stands in the SET, since many formats exist
    and we can name a person in few of them.
    """

    issuer: str
    id: str
    issued_at: datetime
    audiences: tuple[str, ...]
    type: str
    payload: Mapping[str, Any]
    sub_id: Mapping[str, Any] | None = None
    transaction: str | None = None


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it is addressed to anybody.

    `transaction` is the same for everything that one fact of ours gave rise to.
    """

    type: EventType
    payload: Mapping[str, Any]
    sub_id: Mapping[str, Any]
    transaction: str


def identifier_of(subject: Subject) -> dict[str, str]:
    """Name a subject as its own issuer does (RFC 9493 section 3.2.3)."""
    return {"format": "iss_sub", "iss": subject.issuer, "sub": subject.sub}


def stream_identifier(stream_id: str) -> dict[str, str]:
    """Name a stream, the subject of events about itself (SSF 1.0 section 8.1.4.1)."""
    return {"format": "opaque", "id": stream_id}


def subject_of(sub_id: Mapping[str, Any] | None) -> Subject | None:
    """Return the person that an identifier names beyond doubt; None when it names somebody else.

    By issuer and name only, also as the `user` of a complex subject (SSF 1.0 section 3.2). A mail
    address or a telephone number can change hands, and an alias can say two things.
    """
    match sub_id:
        case {"format": "complex", "user": {"format": "iss_sub"} as user}:
            return subject_of(user)
        case {"format": "iss_sub", "iss": str(issuer), "sub": str(sub)} if issuer and sub:
            return Subject(issuer, sub)
        case _:
            return None


def caep_payload(
    at: datetime, initiator: Initiator, reason: str | None = None, **claims: str | None
) -> dict[str, Any]:
    """Write the members of a CAEP event: its own, and those that every event may have."""
    told: dict[str, Any] = {name: value for name, value in claims.items() if value is not None}
    told["event_timestamp"] = int(at.timestamp())
    told["initiating_entity"] = initiator.value
    if reason is not None:
        told["reason_admin"] = {"en": reason}
    return told
