"""A client with a key, and the assertions that it signs."""

from typing import Any

from stepup.crypto import keys
from tests.crypto.forging import forge
from tests.support.application import ISSUER
from tests.support.determinism import NOON

KEY = keys.generate_signing_key("ES256")
JWK = {**KEY.public_jwk, "kid": KEY.id, "use": "sig", "alg": "ES256"}
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AT = int(NOON.timestamp())


def assertion(client_id: str = "shop", *, header: dict | None = None, **changes: object) -> str:
    """Sign an assertion; a claim or header member set to None is left out."""
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "exp": AT + 60,
        "iat": AT,
        "jti": "once",
    }
    full = {"alg": "ES256", "typ": "JWT", "kid": KEY.id} | (header or {})
    return forge(_without_none(full), _without_none(claims | changes), KEY.private_key)


def form_of(text: str, **more: str) -> dict[str, str]:
    return {"client_assertion_type": TYPE, "client_assertion": text, **more}


def _without_none(members: dict) -> dict:
    return {name: value for name, value in members.items() if value is not None}
