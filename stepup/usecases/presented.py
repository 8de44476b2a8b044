"""The elevated token that comes with a request: whether it counts for who brings it."""

from datetime import datetime, timedelta
from typing import NamedTuple

from stepup.crypto import tokens
from stepup.domain.assurance import Approval
from stepup.domain.client import Client, Role
from stepup.domain.ids import Subject
from stepup.ports import Ports
from stepup.usecases.token_state import find_state


class Presented(NamedTuple):
    """A token that counts: whose it is, and what it approves.

    `age` is how old what is known of revocations is, None when it is fresh.
    """

    subject: Subject
    approval: Approval
    age: timedelta | None


async def find_presented(
    ports: Ports, caller: Client, text: str, now: datetime
) -> Presented | None:
    """Read a token that a caller brings; None when it is nothing to that caller, or over."""
    try:
        read = tokens.read(text, ports.snapshot.keyring, ports.site, now)
    except tokens.InvalidTokenError:
        return None
    token = read.token
    # Whoever was given a token for itself must not get others' actions allowed with it.
    is_known = token.client_id == caller.client_id or (
        caller.may(Role.RS) and token.audience in caller.audiences
    )
    if not is_known:
        return None
    # One that was revoked or used up approves nothing either.
    state = await find_state(ports, read)
    if state.is_over:
        return None
    return Presented(token.subject, token.approval, state.age)
