"""Authorization requests that a client has signed."""

from typing import Any

from tests.crypto.forging import forge
from tests.support.application import ISSUER
from tests.support.assertions import JWK, KEY
from tests.support.determinism import NOON
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE

AT = int(NOON.timestamp())
TYP = "oauth-authz-req+jwt"

__all__ = ["AT", "JWK", "KEY", "TYP", "a_request_object", "claims_of"]


def claims_of(client_id: str = "bank", **changes: object) -> dict[str, Any]:
    """What an object says; a claim that is None is left out."""
    claims: dict[str, Any] = {
        "iss": client_id,
        "aud": ISSUER,
        "exp": AT + 300,
        "iat": AT,
        "nbf": AT,
        "jti": "object-1",
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "state": "state-1",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "acr_values": "phr",
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def a_request_object(
    client_id: str = "bank",
    *,
    header: dict[str, Any] | None = None,
    key: Any = KEY.private_key,
    **changes: object,
) -> str:
    """Sign an object; a claim or header member that is None is left out."""
    full = {"alg": "ES256", "typ": TYP, "kid": KEY.id} | (header or {})
    kept = {name: value for name, value in full.items() if value is not None}
    return forge(kept, claims_of(client_id, **changes), key)
