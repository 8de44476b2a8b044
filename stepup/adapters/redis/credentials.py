"""Subjects' authenticators, sealed, for when PostgreSQL is away."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import span_ms
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.authenticator import Authenticator
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import Subject
from stepup.ports import Clock, CredentialCache, FillPlace
from stepup.ports.snapshots import BEGINNING


class _Read(msgspec.Struct, frozen=True):
    """What a subject had, and when PostgreSQL said so."""

    read_at: datetime
    authenticators: tuple[Authenticator, ...]


_json = msgspec.json.Encoder()
_read = msgspec.json.Decoder(_Read)
_place = msgspec.json.Decoder(FillPlace)


class RedisCredentialCache(CredentialCache):
    """One sealed string for each subject; the key is the context, so none opens as another's."""

    def __init__(self, client: RedisClient, sealer: Sealer, clock: Clock) -> None:
        self._client = client
        self._sealer = sealer
        self._clock = clock

    @override
    async def find(self, subject: Subject) -> Sequence[Authenticator] | None:
        key = keys.credentials(subject.id)
        sealed = await self._client.call("GET", key)
        if sealed is None:
            return None
        try:
            found = _read.decode(self._sealer.unseal(sealed, context=key))
        except UnsealError as error:
            # A key-encryption key is missing here; another instance may well have it.
            raise DependencyUnavailableError from error
        # The server's expiry is for its memory. This one nobody who writes there can move.
        is_old = self._clock.now() - found.read_at > keys.CREDENTIALS_KEPT
        return None if is_old else found.authenticators

    @override
    async def put(
        self, subject: Subject, authenticators: Sequence[Authenticator], read_at: datetime
    ) -> None:
        if not authenticators:
            await self.forget(subject)
            return
        key = keys.credentials(subject.id)
        text = _json.encode(_Read(read_at, tuple(authenticators)))
        sealed = self._sealer.seal(text, context=key)
        await self._client.call("SET", key, sealed, "PX", span_ms(keys.CREDENTIALS_KEPT))

    @override
    async def forget(self, subject: Subject) -> None:
        await self._client.call("DEL", keys.credentials(subject.id))

    @override
    async def place(self) -> FillPlace:
        found = await self._client.call("GET", keys.fill_place())
        try:
            return BEGINNING if found is None else _place.decode(found)
        except msgspec.DecodeError:
            return BEGINNING

    @override
    async def keep_place(self, place: FillPlace) -> None:
        kept = span_ms(keys.CREDENTIALS_KEPT)
        await self._client.call("SET", keys.fill_place(), _json.encode(place), "PX", kept)
