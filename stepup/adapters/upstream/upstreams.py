"""The configured identity providers, and the clients' keys, as the port that use cases see."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from typing_extensions import override

from stepup.adapters.upstream.client_key_sets import ClientKeySets
from stepup.adapters.upstream.fetching import Fetcher
from stepup.adapters.upstream.issuer import Issuer
from stepup.adapters.upstream.provider import Provider, digest_of_token
from stepup.crypto import digests
from stepup.crypto.upstream import peek_issuer_and_kid
from stepup.domain.account import BaseIdentity, PendingLogin
from stepup.domain.errors import InvalidSubjectTokenError
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import SecurityEvent
from stepup.ports import Clock, Upstreams


class HttpUpstreams(Upstreams):
    """Providers by their issuer; a token of any other is refused without asking anybody.

    `close` it in the event loop that used it.
    """

    def __init__(
        self, providers: Sequence[Provider], clock: Clock, *, development: bool = False
    ) -> None:
        self._fetcher = Fetcher()
        self._key_sets = ClientKeySets(clock, development=development)
        self._issuers = {p.issuer: Issuer(p, self._fetcher, clock) for p in providers}

    @override
    async def verify(self, token: str, now: datetime) -> BaseIdentity:
        issuer = self._issuer(peek_issuer_and_kid(token)[0])
        return await issuer.verify(token, now)

    @override
    async def login_url(
        self, login: PendingLogin, *, state: str, redirect_uri: str, code_challenge: str
    ) -> str:
        return await self._issuer(login.issuer).login_url(
            login, state=state, redirect_uri=redirect_uri, code_challenge=code_challenge
        )

    @override
    async def finish_login(
        self, login: PendingLogin, *, code: str, redirect_uri: str, now: datetime
    ) -> BaseIdentity:
        return await self._issuer(login.issuer).finish_login(
            login, code=code, redirect_uri=redirect_uri, now=now
        )

    @override
    async def hear(self, text: str, token: str, now: datetime) -> SecurityEvent:
        digest = digest_of_token(token)
        for issuer in self._issuers.values():
            known = issuer.provider.signal_token_digest
            if known is not None and digests.equal(known, digest):
                return await issuer.hear(text, now)
        raise SetRefusedError(SetError.AUTHENTICATION_FAILED, "No transmitter has this token.")

    @override
    async def key_set(self, url: str, kid: str | None) -> Sequence[Mapping[str, Any]]:
        return await self._key_sets.get(url, kid)

    async def close(self) -> None:
        """Close every connection."""
        await self._key_sets.close()
        for issuer in self._issuers.values():
            await issuer.close()
        await self._fetcher.close()

    def _issuer(self, name: str) -> Issuer:
        # Looked up, never built from the token: an address in it would be asked by us.
        issuer = self._issuers.get(name)
        if issuer is None:
            raise InvalidSubjectTokenError("the issuer is not known here")
        return issuer
