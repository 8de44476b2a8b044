"""What the account pages keep between two requests, sealed."""

from datetime import timedelta
from typing import TypeVar

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import span_ms
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.account import (
    ENROLLMENT_LIFETIME,
    LOGIN_LIFETIME,
    AccountSession,
    PendingElevation,
    PendingEnrollment,
    PendingLogin,
)
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.challenge import CHALLENGE_LIFETIME
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import AccountStore, Clock

Kept = TypeVar("Kept")

_json = msgspec.json.Encoder()


class RedisAccountStore(AccountStore):
    """Sealed strings; the key is the context, so none opens in another's place."""

    def __init__(self, client: RedisClient, sealer: Sealer, clock: Clock) -> None:
        self._client = client
        self._sealer = sealer
        self._clock = clock

    @override
    async def put_session(self, digest: str, session: AccountSession) -> None:
        kept = session.expires_at - self._clock.now()
        await self._put(keys.session(digest), session, kept)

    @override
    async def find_session(self, digest: str) -> AccountSession | None:
        session = await self._find(keys.session(digest), AccountSession)
        return session if session and self._clock.now() < session.expires_at else None

    @override
    async def replace_session(self, digest: str, session: AccountSession) -> bool:
        kept = session.expires_at - self._clock.now()
        return await self._put(keys.session(digest), session, kept, "XX")

    @override
    async def remove_session(self, digest: str) -> None:
        await self._client.call("DEL", keys.session(digest))

    @override
    async def add_login(self, digest: str, login: PendingLogin) -> None:
        await self._put(keys.login(digest), login, LOGIN_LIFETIME)

    @override
    async def consume_login(self, digest: str) -> PendingLogin | None:
        return await self._take(keys.login(digest), PendingLogin)

    @override
    async def add_elevation(self, digest: str, elevation: PendingElevation) -> None:
        await self._put(keys.elevation(digest), elevation, CHALLENGE_LIFETIME + CODE_LIFETIME)

    @override
    async def consume_elevation(self, digest: str) -> PendingElevation | None:
        return await self._take(keys.elevation(digest), PendingElevation)

    @override
    async def add_enrollment(self, enrollment_id: str, enrollment: PendingEnrollment) -> None:
        await self._put(keys.enrollment(enrollment_id), enrollment, ENROLLMENT_LIFETIME)

    @override
    async def find_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        return await self._find(keys.enrollment(enrollment_id), PendingEnrollment)

    @override
    async def consume_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        return await self._take(keys.enrollment(enrollment_id), PendingEnrollment)

    async def _put(self, key: str, value: msgspec.Struct, kept: timedelta, *only: str) -> bool:
        sealed = self._sealer.seal(_json.encode(value), context=key)
        done = await self._client.call("SET", key, sealed, "PX", span_ms(kept), *only)
        return done is not None

    async def _find(self, key: str, kind: type[Kept]) -> Kept | None:
        sealed = await self._client.call("GET", key)
        return None if sealed is None else self._unseal(key, sealed, kind)

    async def _take(self, key: str, kind: type[Kept]) -> Kept | None:
        reply = await self._client.spend(scripts.TAKE_ONCE, [key])
        return self._unseal(key, reply.values[0], kind) if reply.status == "ok" else None

    def _unseal(self, key: str, sealed: bytes, kind: type[Kept]) -> Kept:
        try:
            return msgspec.json.decode(self._sealer.unseal(sealed, context=key), type=kind)
        except UnsealError as error:
            # A key-encryption key is missing here; another instance may well have it.
            raise DependencyUnavailableError from error
