"""Pushed requests whose subject nobody has proved: they wait until somebody has signed in for them.

The client has said all that it will say and is gone; what it said is kept whole, as it was checked.
The first browser that gets as far as a challenge has the request; it may come again.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

from stepup.crypto import digests
from stepup.domain.account import KeptRequest
from stepup.domain.authorization import REQUEST_URI_LIFETIME, Ticket
from stepup.domain.checked_request import CheckedRequest
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AttemptId, ClientId
from stepup.ports import Ports
from stepup.usecases import opening
from stepup.usecases.opening import Opening


class KeptFor(NamedTuple):
    """The name that a request is found by, and until when."""

    handle: str
    until: datetime


async def keep(ports: Ports, checked: CheckedRequest, attempt: AttemptId) -> KeptFor:
    """Keep a request that has used up what it may use once.

    One ticket waits once: the attempt that has it gets the same name until the same moment again.
    """
    ticket = checked.ticket
    secret = ports.entropy.token(32) if ticket is None else _secret(ports, ticket, attempt)
    since = ports.clock.now() if ticket is None else ticket.issued_at
    handle, until = f"{ports.site.region}.{secret}", since + REQUEST_URI_LIFETIME
    # From here on it is a browser's: what goes wrong with it goes back to the client.
    waiting = msgspec.structs.replace(
        checked, pushed=False, waits_until=until, waits_as=_digest(ports, handle)
    )
    kept = KeptRequest(parameters={}, checked=waiting)
    await ports.state.sessions.keep_request(_digest(ports, handle), kept)
    return KeptFor(handle, until)


def is_waiting(handle: str) -> bool:
    """Say whether a name is of this kind; that of a challenge has one part more."""
    return handle.count(".") == 1


async def find(ports: Ports, client_id: ClientId, handle: str) -> CheckedRequest:
    """Return a waiting request to a browser that brings its name.

    Raises:
        InvalidRequestError: If there is none, it has expired, or it is another client's.
    """
    kept = await ports.state.sessions.find_request(_digest(ports, handle))
    checked = None if kept is None else kept.checked
    if checked is None or _has_expired(checked.waits_until, ports.clock.now()):
        raise InvalidRequestError("The request_uri is unknown or has expired.")
    if checked.client_id != client_id:
        raise InvalidRequestError("The request_uri belongs to another client.")
    return checked


async def take(ports: Ports, checked: CheckedRequest, attempt: AttemptId) -> Opening:
    """Give the request to this attempt for good, and name the one challenge that it opens.

    Raises:
        InvalidRequestError: If another browser has it.
    """
    name, until = checked.waits_as or "", checked.waits_until or ports.clock.now()
    is_first = await ports.state.replays.remember(
        "waiting_request", name, attempt, until, possible_since=until - REQUEST_URI_LIFETIME
    )
    if not is_first:
        raise InvalidRequestError("The request_uri was used in another browser.")
    return opening.computed(ports, f"waiting {name}", attempt)


def _has_expired(until: datetime | None, now: datetime) -> bool:
    return until is None or until <= now


def _secret(ports: Ports, ticket: Ticket, attempt: AttemptId) -> str:
    key = digests.derive(ports.snapshot.keyring.root, "waiting-ticket")
    return digests.encode(digests.keyed_digest(key, f"{ticket.id} {attempt}"))


def _digest(ports: Ports, handle: str) -> str:
    key = digests.derive(ports.snapshot.keyring.root, "waiting-request")
    return digests.encode(digests.keyed_digest(key, handle))
