"""Rows on their way to PostgreSQL, in a stream."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.ports import Backlog, Outbox, OutboxEntry

_json = msgspec.json.Encoder()
_entry: msgspec.json.Decoder[OutboxEntry] = msgspec.json.Decoder(OutboxEntry)


class RedisOutbox(Outbox):
    """Entries carry no secrets, so they lie open; an entry goes when it was written."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        if entries:
            # No repetition: an entry that is there twice would be written twice.
            await self._client.spend(
                scripts.APPEND_ENTRIES, [keys.outbox()], [_json.encode(entry) for entry in entries]
            )

    @override
    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        found: list[tuple[str, OutboxEntry]] = []
        start = "-"
        while len(found) < count:
            rows = await self._client.call("XRANGE", keys.outbox(), start, "+", "COUNT", count)
            read = ((row_id.decode(), _read(values)) for row_id, values in rows)
            found += [(row_id, entry) for row_id, entry in read if entry is not None]
            if len(rows) < count:
                break
            start = f"({rows[-1][0].decode()}"
        return found[:count]

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            await self._client.call("XDEL", keys.outbox(), *entry_ids)

    @override
    async def backlog(self) -> Backlog:
        waiting: int = await self._client.call("XLEN", keys.outbox())
        if not waiting:
            return Backlog(0, None)
        oldest = await self._client.call("XRANGE", keys.outbox(), "-", "+", "COUNT", 1)
        return Backlog(waiting, _added_at(oldest[0][0]) if oldest else None)


def _read(values: Sequence[bytes]) -> OutboxEntry | None:
    # One entry that we cannot read must not stop the others: a newer release wrote it, and one
    # that can read it will come.
    held = dict(zip(values[::2], values[1::2], strict=True))
    try:
        return _entry.decode(held[b"entry"]) if int(held[b"v"]) <= keys.FORMAT else None
    except (KeyError, ValueError):
        return None


def _added_at(row_id: bytes) -> datetime:
    # An identifier begins with the time of the server that gave it.
    return datetime.fromtimestamp(int(row_id.partition(b"-")[0]) / 1000, UTC)
