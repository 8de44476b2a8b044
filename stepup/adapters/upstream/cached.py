"""A fetched value that is kept for a while, asked for by one caller at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Clock

T = TypeVar("T")

FRESH = timedelta(minutes=10)
# How long a value serves while the provider is away; as long as our own JWKS may (stale-if-error).
USABLE = timedelta(hours=24)
# Tokens with invented key names must not make us a hammer on the provider.
PAUSE = timedelta(seconds=30)
# With nothing to serve, trying again is worth more; the pause keeps a crowd from waiting in line.
_EMPTY_PAUSE = timedelta(seconds=1)
# Who has a value that may still serve does not wait for a silent provider.
_PATIENCE = 0.5


class _Kept(NamedTuple, Generic[T]):
    value: T
    fetched_at: datetime


class Cached(Generic[T]):
    """The last value that `fetch` returned."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: _Kept[T] | None = None
        self._tried_at: datetime | None = None
        self._failed = False
        self._flight: asyncio.Task[None] | None = None

    async def get(self, wanted: Callable[[T], bool] = lambda _: True) -> T:
        """Return the value; one that is old, or not what is wanted, is fetched anew first.

        A new value is fetched at most every thirty seconds, so what is returned may lack what is
        wanted; and when it cannot be fetched, an old value that has it still serves.

        Raises:
            DependencyUnavailableError: If there is no value, or none that can tell.
        """
        kept = self._kept
        serves = kept is not None and self._age(kept) < USABLE and wanted(kept.value)
        if kept is None or self._age(kept) >= FRESH or not serves:
            await self._refresh(in_a_hurry=serves)
            kept = self._kept
        # After a success the provider has spoken, and what it lacks does not exist.
        if kept is not None and (serves or not self._failed):
            return kept.value
        raise DependencyUnavailableError("the identity provider does not answer")

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait({self._flight})

    def _age(self, kept: "_Kept[T]") -> timedelta:
        return self._clock.now() - kept.fetched_at

    async def _refresh(self, *, in_a_hurry: bool) -> None:
        if self._flight is None or self._flight.done():
            if self._is_pausing():
                return
            self._flight = asyncio.create_task(self._fly())
        # Not awaited itself: a caller that is cancelled would take it away from all others.
        flight = self._flight
        await asyncio.wait({flight}, timeout=_PATIENCE if in_a_hurry else None)
        if flight.done():
            flight.result()

    def _is_pausing(self) -> bool:
        pause = _EMPTY_PAUSE if self._kept is None else PAUSE
        return self._tried_at is not None and self._clock.now() - self._tried_at < pause

    async def _fly(self) -> None:
        self._tried_at = self._clock.now()
        try:
            value = await self._fetch()
        except DependencyUnavailableError:
            self._failed = True
        else:
            self._kept, self._failed = _Kept(value, self._clock.now()), False
