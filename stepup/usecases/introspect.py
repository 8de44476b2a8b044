"""Introspect an elevated token (RFC 7662)."""

import math
from collections.abc import Mapping

from stepup.crypto import tokens
from stepup.domain.client import Client
from stepup.ports import Ports
from stepup.usecases.token_state import find_state, readable

Claims = Mapping[str, object]


async def introspect(ports: Ports, caller: Client, text: str) -> Claims | None:
    """Return the claims of an active token that the caller may know of, else None.

    Unknown, expired, revoked, used up and somebody else's all look the same (RFC 7662 section
    2.2): the answer must not say which tokens exist. `revocation_age` is among the claims, in
    seconds, when a revocation that is younger than that may be missing.

    Raises:
        DependencyUnavailableError: If this instance cannot know whether it was revoked.
    """
    read = readable(ports, caller, text)
    if read is None:
        return None
    state = await find_state(ports, read)
    if state.is_over:
        return None
    claims = tokens.claims_of(read.token, ports.site)
    if state.age is None:
        return claims
    return {**claims, "revocation_age": math.ceil(state.age.total_seconds())}
