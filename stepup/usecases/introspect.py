"""Introspect an elevated token (RFC 7662), and sign the answer for who wants it (RFC 9701)."""

import math
from collections.abc import Mapping

from stepup.crypto import introspection, tokens
from stepup.domain.client import Client
from stepup.domain.errors import ClientAuthenticationError
from stepup.domain.introspection import shown_to
from stepup.domain.keyring import KeyUse
from stepup.ports import Ports
from stepup.usecases import refresh_tokens
from stepup.usecases.signing import signer_for
from stepup.usecases.token_state import find_state, readable

Claims = Mapping[str, object]

# No `aud` and no `token_type`: a client that is a resource server as well must not take it for an
# access token, even if it looks no closer than that.
_OF_A_REFRESH_TOKEN = (
    "iss",
    "sub",
    "sub_id",
    "client_id",
    "exp",
    "acr",
    "amr",
    "auth_time",
    "scope",
    "cnf",
)


async def introspect(ports: Ports, caller: Client, text: str) -> Claims | None:
    """Return the claims of an active token that the caller may know of, else None.

    Of a refresh token, which it does not use up, that is the client that it was given to.

    Unknown, expired, revoked, used up and somebody else's all look the same (RFC 7662 section
    2.2): the answer must not say which tokens exist. `revocation_age` is among the claims, in
    seconds, when a revocation that is younger than that may be missing.

    Raises:
        ClientAuthenticationError: If the caller proves nothing: it could try out tokens (RFC 7662
            section 2.1).
        DependencyUnavailableError: If this instance cannot know whether it was revoked.
    """
    if caller.is_public:
        raise ClientAuthenticationError
    read = readable(ports, caller, text)
    if read is None:
        return await _of_refresh_token(ports, caller, text)
    state = await find_state(ports, read)
    if state.is_over:
        return None
    claims = {
        "token_type": read.token.token_type,
        **tokens.claims_of(read.token, ports.site),
    }
    if state.age is not None:
        claims["revocation_age"] = math.ceil(state.age.total_seconds())
    return shown_to(caller, claims)


async def _of_refresh_token(ports: Ports, caller: Client, text: str) -> Claims | None:
    foreseen = await refresh_tokens.foresee(ports, caller, text)
    if foreseen is None:
        return None
    claims = tokens.claims_of(foreseen, ports.site)
    told = {name: claims[name] for name in _OF_A_REFRESH_TOKEN if name in claims}
    return shown_to(caller, told)


def sign_answer(ports: Ports, caller: Client, answer: Claims) -> str:
    """Sign an answer with the algorithm that the caller registered, or with the preferred one.

    Raises:
        DependencyUnavailableError: If no key signs with it.
    """
    algorithm = caller.introspection_signed_response_alg
    key = signer_for(ports, caller, KeyUse.INTROSPECTION, algorithm)
    now = ports.clock.now()
    return introspection.sign_answer(answer, caller.client_id, key, ports.site, now)
