"""How often the cache of authenticators stood in for PostgreSQL, in figures."""

from collections.abc import Sequence
from datetime import datetime

from typing_extensions import override

from stepup import telemetry
from stepup.domain.authenticator import Authenticator
from stepup.domain.ids import Subject
from stepup.ports import CredentialCache, FillPlace

_found = telemetry.cache_served_stale_total.labels("authenticators")


class ObservedCredentialCache(CredentialCache):
    """A cache that counts what is found in it: it is only asked while PostgreSQL is away."""

    def __init__(self, cache: CredentialCache) -> None:
        self._cache = cache

    @override
    async def find(self, subject: Subject) -> Sequence[Authenticator] | None:
        found = await self._cache.find(subject)
        if found is not None:
            _found.inc()
        return found

    @override
    async def put(
        self, subject: Subject, authenticators: Sequence[Authenticator], read_at: datetime
    ) -> None:
        await self._cache.put(subject, authenticators, read_at)

    @override
    async def forget(self, subject: Subject) -> None:
        await self._cache.forget(subject)

    @override
    async def place(self) -> FillPlace:
        return await self._cache.place()

    @override
    async def keep_place(self, place: FillPlace) -> None:
        await self._cache.keep_place(place)
