"""The grant `client_credentials` of `/oauth2/token`: a client's own token (RFC 6749 section 4.4)."""

from typing import Any

from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.http.form import Form
from stepup.ports import Ports
from stepup.usecases import machine_tokens

GRANT = "client_credentials"


async def granted(
    form: Form, caller: Client, ports: Ports, proof: Confirmation | None
) -> dict[str, Any]:
    """Return the members of the answer; there is never a refresh token (section 4.4.3)."""
    token, text = await machine_tokens.grant(ports, caller, form.get("scope"), proof)
    is_dpop = token.confirmation is not None and token.confirmation.jkt is not None
    return {
        "access_token": text,
        "expires_in": round(machine_tokens.LIFETIME.total_seconds()),
        "token_type": "DPoP" if is_dpop else "Bearer",
        "scope": " ".join(sorted(token.scopes)),
    }
