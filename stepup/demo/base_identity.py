"""The bank as a client of its identity provider: signing people in, and reading its tokens."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt

from stepup.demo.base_keys import BaseKeys
from stepup.demo.network import Network
from stepup.sdk import Pkce, UnavailableError, new_state

LEEWAY = 5


class SignInError(Exception):
    """The identity provider's answer does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """What the bank keeps while somebody is at the identity provider."""

    return_to: str
    state: str = field(default_factory=new_state, repr=False)
    pkce: Pkce = field(default_factory=Pkce.generate, repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLogin:
    """Somebody who signed in, and the tokens that say so."""

    sub: str
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: int


class BaseIdentity:
    """One identity provider, seen from one client."""

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        redirect_uri: str,
        api_audience: str,
        network: Network,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._api_audience = api_audience
        self._network = network
        self._keys = BaseKeys(f"{issuer}/jwks.json", network.fetch)

    def sign_in_url(self, pending: PendingSignIn, prompt: str | None = None) -> str:
        """Return where to send the browser."""
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid profile",
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.pkce.challenge,
            "code_challenge_method": pending.pkce.method,
        }
        if prompt:
            query["prompt"] = prompt
        return f"{self.issuer}/authorize?{urlencode(query)}"

    async def finish(self, pending: PendingSignIn, callback: Mapping[str, str]) -> BaseLogin:
        """Turn the answer of the identity provider into a login.

        Raises:
            SignInError: If the answer is not to our question, or not good.
        """
        answers_us = secrets.compare_digest(
            callback.get("state", "").encode(), pending.state.encode()
        )
        if not answers_us or callback.get("iss") != self.issuer or "code" not in callback:
            raise SignInError(callback.get("error", "invalid_answer"))
        form = {
            "grant_type": "authorization_code",
            "code": callback["code"],
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "code_verifier": pending.pkce.verifier,
        }
        try:
            async with self._network.client() as http:
                answer = await http.post(f"{self.issuer}/token", data=form)
            tokens = answer.raise_for_status().json()
            claims = await asyncio.to_thread(self._read, tokens["id_token"], self._client_id)
        except (httpx2.HTTPError, ValueError, KeyError, jwt.PyJWTError, UnavailableError) as error:
            raise SignInError("invalid_answer") from error
        if claims.get("nonce") != pending.nonce:
            raise SignInError("invalid_nonce")
        return BaseLogin(
            sub=claims["sub"],
            id_token=tokens["id_token"],
            access_token=tokens["access_token"],
            expires_at=claims["exp"],
        )

    def read_access_token(self, raw: str) -> str | None:
        """Return whose access token for the bank's API this is; None when it is none. It may block."""
        try:
            claims = self._read(raw, self._api_audience)
            is_access_token = jwt.get_unverified_header(raw).get("typ") == "at+jwt"
        except (jwt.PyJWTError, ValueError, UnavailableError):
            return None
        return str(claims["sub"]) if is_access_token else None

    def _read(self, raw: str, audience: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            raw,
            self._keys.find(str(jwt.get_unverified_header(raw).get("kid"))),
            algorithms=["ES256"],
            issuer=self.issuer,
            audience=audience,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
        return claims
