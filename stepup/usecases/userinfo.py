"""Userinfo: what an access token says about its subject, to whoever holds it.

The token's audience is somebody else, mostly. What it was granted `openid` for is this endpoint
(OpenID Connect Core section 5.3), so the scope stands in for the audience here.
"""

from collections.abc import Mapping

from stepup.crypto import tokens
from stepup.domain.admin_errors import InsufficientScopeError, TokenRefusedError
from stepup.domain.confirmation import Possession
from stepup.ports import Ports
from stepup.usecases.token_state import find_state

_TOLD = ("sub", "sub_id", "acr", "amr", "auth_time")


async def userinfo(ports: Ports, text: str, possession: Possession) -> Mapping[str, object]:
    """Return what is known of the subject, which is the ceremony and no more.

    Raises:
        TokenRefusedError: If it is no active token of ours, or bound to a key that nobody proved.
        InsufficientScopeError: If it was not granted for this.
        DependencyUnavailableError: If this instance cannot know whether it was revoked.
    """
    keyring = ports.snapshot.keyring
    try:
        read = tokens.read(text, keyring, ports.site, ports.clock.now())
    except tokens.InvalidTokenError:
        raise TokenRefusedError from None
    if not possession.covers(read.token.confirmation):
        raise TokenRefusedError("The token is bound to a key that was not proved.")
    if (await find_state(ports, read)).is_over:
        raise TokenRefusedError
    if "openid" not in (read.token.scope or "").split(" "):
        raise InsufficientScopeError("openid")
    claims = tokens.claims_of(read.token, ports.site)
    return {name: claims[name] for name in _TOLD if name in claims}
