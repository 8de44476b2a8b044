"""Entries of a stream that wait for PostgreSQL: read in order, removed once written, counted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from stepup.adapters.redis import keys
from stepup.adapters.redis.client import RedisClient
from stepup.ports import Backlog

Entry = TypeVar("Entry")


class WaitingEntries(Generic[Entry]):
    """A stream of JSON texts, each with the format it was written in."""

    def __init__(self, client: RedisClient, key: str, decoder: msgspec.json.Decoder[Entry]) -> None:
        self._client = client
        self._key = key
        self._decoder = decoder

    async def read(self, count: int) -> Sequence[tuple[str, Entry]]:
        """Return the oldest readable entries."""
        found: list[tuple[str, Entry]] = []
        start = "-"
        while len(found) < count:
            rows = await self._client.call("XRANGE", self._key, start, "+", "COUNT", count)
            read = ((row_id.decode(), self._read(values)) for row_id, values in rows)
            found += [(row_id, entry) for row_id, entry in read if entry is not None]
            if len(rows) < count:
                break
            start = f"({rows[-1][0].decode()}"
        return found[:count]

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Forget entries."""
        if entry_ids:
            await self._client.call("XDEL", self._key, *entry_ids)

    async def backlog(self) -> Backlog:
        """Say how many entries wait, the unreadable ones too, and since when the oldest does."""
        waiting: int = await self._client.call("XLEN", self._key)
        if not waiting:
            return Backlog(0, None)
        oldest = await self._client.call("XRANGE", self._key, "-", "+", "COUNT", 1)
        return Backlog(waiting, _added_at(oldest[0][0]) if oldest else None)

    def _read(self, values: Sequence[bytes]) -> Entry | None:
        # One entry that we cannot read must not stop the others: a newer release wrote it, and one
        # that can read it will come.
        held = dict(zip(values[::2], values[1::2], strict=True))
        try:
            return self._decoder.decode(held[b"entry"]) if int(held[b"v"]) <= keys.FORMAT else None
        except (KeyError, ValueError):
            return None


def _added_at(row_id: bytes) -> datetime:
    # An identifier begins with the time of the server that gave it.
    return datetime.fromtimestamp(int(row_id.partition(b"-")[0]) / 1000, UTC)
