"""What the demo identity provider signs: ID tokens, and access tokens for the bank's own API."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from stepup.demo.people import PEOPLE, full_name

LIFETIME = 3600
# The demo asks for no password, so it claims no more than that somebody pressed a button.
DEFAULT_ACR = "urn:demo:name-only"


@dataclass(frozen=True, slots=True)
class Login:
    """One sign-in: who, when, how well."""

    sub: str
    auth_time: int
    acr: str = DEFAULT_ACR


class TokenSigner:
    """The identity provider's key; a new one at each start."""

    def __init__(self, issuer: str, api_audience: str) -> None:
        self._issuer = issuer
        self._api_audience = api_audience
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = secrets.token_hex(8)

    def jwks(self) -> dict[str, Any]:
        """Return the public half."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        public.pop("key_ops", None)
        return {"keys": [public | {"kid": self._kid, "use": "sig", "alg": "ES256"}]}

    def id_token(self, login: Login, client_id: str, nonce: str | None = None) -> str:
        """Say to a client who signed in (OpenID Connect Core section 2)."""
        claims = self._claims(login) | {"aud": client_id, "name": full_name(login.sub)}
        if login.sub in PEOPLE:
            claims["email"] = PEOPLE[login.sub].email
        if nonce is not None:
            claims["nonce"] = nonce
        return self._sign(claims, "JWT")

    def access_token(self, login: Login, client_id: str) -> str:
        """Let a client act for somebody at the bank's API (RFC 9068)."""
        claims = self._claims(login) | {
            "aud": self._api_audience,
            "client_id": client_id,
            "jti": secrets.token_urlsafe(12),
            "scope": "transfers",
        }
        return self._sign(claims, "at+jwt")

    def _claims(self, login: Login) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self._issuer,
            "sub": login.sub,
            "iat": now,
            "exp": now + LIFETIME,
            "auth_time": login.auth_time,
            "acr": login.acr,
        }

    def _sign(self, claims: Mapping[str, Any], typ: str) -> str:
        headers = {"typ": typ, "kid": self._kid}
        return jwt.encode(dict(claims), self._key, "ES256", headers=headers)
