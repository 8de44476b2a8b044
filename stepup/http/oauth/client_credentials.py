"""The grant `client_credentials` of `/oauth2/token`: a client's own token (RFC 6749 section 4.4)."""

from typing import Any, NamedTuple

from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import InvalidTargetError
from stepup.ports import Ports
from stepup.usecases import machine_tokens

GRANT = "client_credentials"


class Asked(NamedTuple):
    """What the request says, and the key that was proved with it."""

    scope: str | None
    resource: str | None
    proof: Confirmation | None


async def granted(ports: Ports, caller: Client, asked: Asked) -> dict[str, Any]:
    """Return the members of the answer; there is never a refresh token (section 4.4.3).

    Raises:
        InvalidTargetError: If the token is to be for anything but our own interface (RFC 8707).
    """
    if asked.resource not in {None, ports.site.url(machine_tokens.AUDIENCE)}:
        raise InvalidTargetError("A client's own token is for our own endpoints alone.")
    token, text = await machine_tokens.grant(ports, caller, asked.scope, asked.proof)
    is_dpop = token.confirmation is not None and token.confirmation.jkt is not None
    return {
        "access_token": text,
        "expires_in": round(machine_tokens.LIFETIME.total_seconds()),
        "token_type": "DPoP" if is_dpop else "Bearer",
        "scope": " ".join(sorted(token.scopes)),
    }
