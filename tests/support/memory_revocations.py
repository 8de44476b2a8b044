"""The revocation feed in memory, and what a process knows of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from typing_extensions import override

from stepup.domain.ids import KeyId
from stepup.domain.revocation import Revocation, RevocationMap, Revoked
from stepup.domain.token import ElevatedToken
from stepup.ports import Clock, FeedPage, FeedPlace, RevocationFeed
from stepup.usecases.revocation_feed import LiveRevocations


def known_revocations() -> LiveRevocations:
    """Return what a process knows whose feed is fresh for ever."""
    known = LiveRevocations(lambda: 0.0)
    known.confirm(0.0)
    return known


class MemoryRevocationFeed(RevocationFeed):
    """Entries in a list; a heartbeat has the number of the last revocation and nothing else."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = RevocationMap()
        self._entries: list[tuple[int, Revocation | None, datetime]] = []
        self._deleted: set[str] = set()
        self._listeners: set[asyncio.Queue[Revocation | None]] = set()

    def is_marked(self, what: Revoked, value: str) -> bool:
        """Say whether there is a mark that introspection would read."""
        self._marks.forget(self._clock.now())
        return (what, value) in {(each.what, each.value) for each in self._marks.entries()}

    def delete(self, value: str) -> None:
        """Take an entry out of the feed, as somebody could by hand; its mark and number stay."""
        self._deleted.add(value)

    @override
    async def publish(self, revocation: Revocation) -> None:
        await asyncio.sleep(0)
        if self._marks.add(revocation):
            self._add(self._newest + 1, revocation)

    @override
    async def is_revoked(self, token: ElevatedToken, key_id: KeyId) -> bool:
        await asyncio.sleep(0)
        self._marks.forget(self._clock.now())
        return self._marks.covers(token, key_id)

    @override
    async def read(self, after: FeedPlace) -> FeedPage:
        await asyncio.sleep(0)
        read = int(after.entry_id.partition("-")[0])
        new = [
            (number, each)
            for number, each, _ in self._entries[read:]
            if each is not None and each.value not in self._deleted
        ]
        number = new[-1][0] if new else after.number
        return FeedPage(
            numbered=new,
            place=FeedPlace(f"{len(self._entries)}-0", number),
            newest=self._newest,
            last_at=self._entries[-1][2] if self._entries else None,
            is_last=True,
            is_continued=read <= len(self._entries),
        )

    @override
    async def read_all(self) -> tuple[Sequence[Revocation], FeedPlace]:
        await asyncio.sleep(0)
        self._marks.forget(self._clock.now())
        return self._marks.entries(), FeedPlace(f"{len(self._entries)}-0", self._newest)

    @override
    async def beat(self) -> None:
        await asyncio.sleep(0)
        last_at = self._entries[-1][2] if self._entries else None
        if last_at is None or self._clock.now() - last_at >= timedelta(seconds=1):
            self._add(self._newest, None)

    @override
    async def listen(self) -> AsyncIterator[Revocation | None]:
        queue: asyncio.Queue[Revocation | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    @property
    def _newest(self) -> int:
        return self._entries[-1][0] if self._entries else 0

    def _add(self, number: int, revocation: Revocation | None) -> None:
        self._entries.append((number, revocation, self._clock.now()))
        for listener in self._listeners:
            listener.put_nowait(revocation)
