"""One identity provider at work: its addresses and keys, and what its tokens say."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from stepup.adapters.upstream.cached import Cached
from stepup.adapters.upstream.fetching import Fetcher
from stepup.adapters.upstream.provider import Metadata, Provider
from stepup.crypto import jwts, security_events
from stepup.crypto.upstream import UpstreamKey, keys_of, peek_issuer_and_kid, verify_subject_token
from stepup.domain.account import BaseIdentity, PendingLogin
from stepup.domain.errors import DependencyUnavailableError, InvalidSubjectTokenError
from stepup.domain.ids import Subject
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import SecurityEvent
from stepup.domain.streams import RETENTION
from stepup.ports import Clock

_DISCOVERY = "/.well-known/openid-configuration"
_SCOPE = "openid profile"

T = TypeVar("T")


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    sub: str
    name: str | None = None
    preferred_username: str | None = None
    acr: str | None = None
    auth_time: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)] | None = None
    nonce: str | None = None
    azp: str | None = None


class _TokenAnswer(msgspec.Struct, frozen=True):
    id_token: str


class Issuer:
    """A provider, and what is known of it at the moment."""

    def __init__(self, provider: Provider, fetcher: Fetcher, clock: Clock) -> None:
        self.provider = provider
        self._fetcher = fetcher
        self._metadata = Cached(self._fetch_metadata, clock)
        self._keys = Cached(self._fetch_keys, clock)
        self._signal_keys = Cached(self._fetch_signal_keys, clock)

    async def verify(self, token: str, now: datetime) -> BaseIdentity:
        """Verify a subject token that a client sent us.

        Raises:
            InvalidSubjectTokenError: If it does not hold.
            DependencyUnavailableError: If nobody can say, because the keys are not known.
        """
        claims = await self._read(token, self.provider.audiences, now)
        return self._identity(claims)

    async def login_url(
        self, login: PendingLogin, *, state: str, redirect_uri: str, code_challenge: str
    ) -> str:
        """Return where a browser begins the code flow (OpenID Connect Core section 3.1.2.1)."""
        endpoint = (await self._metadata.get()).authorization_endpoint
        if endpoint is None:
            raise DependencyUnavailableError(f"{self.provider.issuer} has no code flow")
        question = {
            "response_type": "code",
            "client_id": self._client_id(),
            "redirect_uri": redirect_uri,
            "scope": _SCOPE,
            "state": state,
            "nonce": login.nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        parts = urlsplit(endpoint)
        query = "&".join(filter(None, (parts.query, urlencode(question))))
        return urlunsplit(parts._replace(query=query))

    async def finish_login(
        self, login: PendingLogin, *, code: str, redirect_uri: str, now: datetime
    ) -> BaseIdentity:
        """Redeem the code and verify the ID token (OpenID Connect Core section 3.1.3.7).

        Raises:
            InvalidSubjectTokenError: If the code is refused or the token does not hold.
            DependencyUnavailableError: If the provider does not answer as it should.
        """
        client_id = self._client_id()
        token = await self._redeem(login, code, redirect_uri)
        claims = await self._read(token, frozenset({client_id}), now)
        if claims.nonce != login.nonce:
            raise InvalidSubjectTokenError("the ID token was made for another login")
        if claims.azp not in (None, client_id):
            raise InvalidSubjectTokenError("the ID token was made for another client")
        return self._identity(claims)

    async def hear(self, text: str, now: datetime) -> SecurityEvent:
        """Verify a security event that somebody with this provider's token sent us.

        Raises:
            SetRefusedError: If it does not hold.
            DependencyUnavailableError: If nobody can say, because the keys are not known.
        """
        try:
            kid = jwts.peek(text).kid
        except jwts.InvalidTokenError:
            raise SetRefusedError(SetError.INVALID_REQUEST, "That is no SET.") from None
        cached = self._signal_keys if self.provider.signal_jwks_uri else self._keys
        keys = await cached.get(lambda keys: kid is None or kid in keys)
        return security_events.read(
            text,
            keys,
            expected_issuer=self.provider.issuer,
            expected_audiences={self.provider.signal_audience},
            algorithms=self.provider.algorithms,
            now=now,
            oldest=RETENTION,
        )

    async def close(self) -> None:
        """End what is being fetched."""
        await self._signal_keys.close()
        await self._keys.close()
        await self._metadata.close()

    async def _read(self, token: str, audiences: frozenset[str], now: datetime) -> _Claims:
        kid = peek_issuer_and_kid(token)[1]
        keys = await self._keys.get(lambda keys: kid is None or kid in keys)
        claims = verify_subject_token(
            token,
            keys,
            expected_issuer=self.provider.issuer,
            expected_audiences=audiences,
            algorithms=self.provider.algorithms,
            now=now,
        )
        try:
            return msgspec.convert(claims, _Claims)
        except msgspec.ValidationError:
            raise InvalidSubjectTokenError("the claims are malformed") from None

    def _identity(self, claims: _Claims) -> BaseIdentity:
        auth_time = claims.auth_time
        return BaseIdentity(
            subject=Subject(issuer=self.provider.issuer, sub=claims.sub),
            name=claims.name or claims.preferred_username,
            acr=claims.acr,
            auth_time=None if auth_time is None else datetime.fromtimestamp(auth_time, UTC),
        )

    async def _redeem(self, login: PendingLogin, code: str, redirect_uri: str) -> str:
        endpoint = (await self._metadata.get()).token_endpoint
        if endpoint is None:
            raise DependencyUnavailableError(f"{self.provider.issuer} has no code flow")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": login.code_verifier,
        }
        if self.provider.client_secret is None:
            form["client_id"] = self._client_id()
        answer = await self._fetcher.post(endpoint, form, self._authorization())
        # RFC 6749 section 5.2: 400 speaks of the code. 401 is about ourselves, and everything else
        # about the provider: neither says that this login was not genuine.
        if answer.status == 400:
            raise InvalidSubjectTokenError("the identity provider refused the code")
        if answer.status != 200:
            raise DependencyUnavailableError(f"{endpoint} answered {answer.status}")
        return _decoded(answer.body, _TokenAnswer, endpoint).id_token

    def _client_id(self) -> str:
        if self.provider.client_id is None:
            raise InvalidSubjectTokenError(f"there is no base login with {self.provider.issuer}")
        return self.provider.client_id

    def _authorization(self) -> str | None:
        if self.provider.client_secret is None:
            return None
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
        halves = (self._client_id(), self.provider.client_secret)
        pair = ":".join(quote_plus(half) for half in halves)
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    async def _fetch_metadata(self) -> Metadata:
        url = self.provider.issuer.rstrip("/") + _DISCOVERY
        metadata = _decoded(await self._fetcher.get(url), Metadata, url)
        metadata.check(self.provider.issuer)
        return metadata

    async def _fetch_keys(self) -> Mapping[str, UpstreamKey]:
        url = self.provider.jwks_uri or (await self._metadata.get()).jwks_uri
        return await self._fetch_keys_at(url)

    async def _fetch_signal_keys(self) -> Mapping[str, UpstreamKey]:
        return await self._fetch_keys_at(self.provider.signal_jwks_uri or "")

    async def _fetch_keys_at(self, url: str) -> Mapping[str, UpstreamKey]:
        jwk_set = _decoded(await self._fetcher.get(url), dict[str, object], url)
        try:
            return keys_of(jwk_set)
        except ValueError as error:
            raise DependencyUnavailableError(f"{url} answered no JWK set") from error


def _decoded(body: bytes, kind: type[T], url: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise DependencyUnavailableError(f"{url} answered something else") from error
