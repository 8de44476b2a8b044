"""Act upon a security event of an identity provider beside which we stand.

What a provider says of its subject's session ends what the subject has proved here, up to the
moment of the event: whoever was a guest there is none here either. Nothing has to be remembered for
that: the same event again ends the same, and an old one ends nothing that is still alive.
"""

from datetime import timedelta
from enum import StrEnum

from stepup.crypto import digests
from stepup.domain.ids import Subject
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signal_source import BY_SIGNAL
from stepup.domain.signals import EventType, SecurityEvent, subject_of
from stepup.ports import Ports
from stepup.usecases.end_subject import end_subject

# The provider's clock and ours, and the way from there to here.
_ON_THE_WAY = timedelta(minutes=5)
_NAME_PURPOSE = "heard event"
# Compared and not looked up: a payload may hold anything.
_ENDING_CHANGES = ("revoke", "delete")


class Heard(StrEnum):
    """What became of an event."""

    EFFECTIVE = "effective"
    NO_EFFECT = "no_effect"
    """It is about something that we do nothing about."""
    NOBODY = "nobody"
    """It names nobody by issuer and name."""


async def receive(ports: Ports, text: str, token: str) -> tuple[Heard, str]:
    """Verify an event and let it take effect; returns what became of it, and its type.

    Raises:
        SetRefusedError: If it does not hold, or is about somebody else's subject.
        DependencyUnavailableError: If it could not take effect; it must be sent again.
    """
    event = await ports.upstreams.hear(text, token, ports.clock.now())
    if not _ends_what_was_proved(event):
        return Heard.NO_EFFECT, event.type
    subject = subject_of(event.sub_id)
    if subject is None:
        return Heard.NOBODY, event.type
    _require_own(event, subject)
    await end_subject(
        ports,
        subject.id,
        # Never later than now, so that nothing that comes after it is ended in advance.
        up_to=min(event.issued_at + _ON_THE_WAY, ports.clock.now()),
        by=BY_SIGNAL,
        why=event.type.rpartition("/")[2],
        told_by=_name_of(ports, event),
    )
    return Heard.EFFECTIVE, event.type


def _ends_what_was_proved(event: SecurityEvent) -> bool:
    payload = event.payload
    match event.type:
        case EventType.SESSION_REVOKED:
            return True
        case EventType.CREDENTIAL_CHANGE:
            return payload.get("change_type") in _ENDING_CHANGES
        case EventType.RISK_LEVEL_CHANGE:
            is_of_person = payload.get("principal") == "USER"
            return is_of_person and payload.get("current_level") == "HIGH"
        case _:
            return False


def _require_own(event: SecurityEvent, subject: Subject) -> None:
    """Refuse what a provider says of another one's subjects.

    Raises:
        SetRefusedError: If it does.
    """
    if subject.issuer != event.issuer:
        raise SetRefusedError(SetError.ACCESS_DENIED, "The subject is of another issuer.")


def _name_of(ports: Ports, event: SecurityEvent) -> str:
    key = digests.derive(ports.snapshot.keyring.root, _NAME_PURPOSE)
    return digests.encode(digests.keyed_digest(key, f"{event.issuer}\0{event.id}")[:18])
