"""Whether a token still counts, and how sure this instance may be of it.

The mark in Redis says at once what was revoked; what this process knows says it without Redis, and
is never believed for longer than its age allows (RELIABILITY section 8).
"""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from stepup.crypto import tokens
from stepup.crypto.tokens import ReadToken
from stepup.domain.client import Client, Role
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.revocation import Standing, standing_at
from stepup.domain.token import ElevatedToken
from stepup.ports import Ports

_TOO_OLD = "What was revoked lately is not known here; try again shortly."


class TokenState(NamedTuple):
    """Whether a token was revoked or used up.

    `age` is set when the answer rests on knowledge that is that old, and on no mark or on one
    that may be missing.
    """

    is_over: bool
    age: timedelta | None = None


def readable(ports: Ports, caller: Client, text: str) -> ReadToken | None:
    """Return a valid token that the caller may know of: its own, or one that is meant for it."""
    try:
        read = tokens.read(text, ports.snapshot.keyring, ports.site, ports.clock.now())
    except tokens.InvalidTokenError:
        return None
    token = read.token
    is_its_own = token.client_id == caller.client_id
    is_for_it = caller.may(Role.RS) and token.audience in caller.audiences
    return read if is_its_own or is_for_it else None


async def find_state(ports: Ports, read: ReadToken) -> TokenState:
    """Say whether a token still counts.

    Raises:
        DependencyUnavailableError: If this instance cannot know it.
    """
    token = read.token
    if ports.revocations.covers(token, read.key_id) or is_out_of_service(ports, token):
        return TokenState(is_over=True)
    try:
        has_mark = True
        is_over = await _is_over(ports, read)
    except DependencyUnavailableError:
        # Redis alone knows which once-only tokens were used up.
        if token.once:
            raise
        has_mark = is_over = False
    # Once more: what was heard while Redis was waited for made the knowledge young, too.
    if is_over or ports.revocations.covers(token, read.key_id):
        return TokenState(is_over=True)
    age, standing = require_known(ports, token)
    is_certain = has_mark and standing is Standing.FRESH
    return TokenState(is_over=False, age=None if is_certain else age)


def is_out_of_service(ports: Ports, token: ElevatedToken) -> bool:
    """Say whether a token's client is: an instance that was cut off may have given it since."""
    client = ports.snapshot.client(token.client_id)
    return client is not None and client.disabled


async def _is_over(ports: Ports, read: ReadToken) -> bool:
    revoked = ports.state.revocations.is_revoked(*read)
    if not read.token.once:
        return await revoked
    # Both leave in one write.
    usable = ports.state.tokens.is_usable(read.token.challenge_id)
    is_revoked, is_usable = await asyncio.gather(revoked, usable)
    return is_revoked or not is_usable


def require_known(ports: Ports, token: ElevatedToken) -> tuple[timedelta | None, Standing]:
    """Return how old the knowledge of revocations is, and how much may be said with it.

    Raises:
        DependencyUnavailableError: If it is too old to say anything about this token.
    """
    age = ports.revocations.age
    return age, require_known_for(age, critical=is_critical(ports, token))


def require_known_for(age: timedelta | None, *, critical: bool) -> Standing:
    """Judge knowledge of this age, for something that may be critical.

    Raises:
        DependencyUnavailableError: If it is too old to say anything.
    """
    standing = standing_at(age, critical=critical)
    if standing is Standing.UNKNOWN:
        raise DependencyUnavailableError(_TOO_OLD)
    return standing


def is_critical(ports: Ports, token: ElevatedToken) -> bool:
    """Say whether a late revocation would do harm that cannot be undone.

    What may be done once only is such a case, and whatever the policy says is one.
    """
    if token.once or token.action is None:
        return token.once
    action = ports.snapshot.policy.find(token.action)
    return action is not None and action.critical
