"""Rows on their way to PostgreSQL, in a stream."""

from collections.abc import Sequence

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.domain.errors import NewerFormatError
from stepup.ports import Outbox, OutboxEntry

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
        rows = await self._client.call("XRANGE", keys.outbox(), "-", "+", "COUNT", count)
        return [(row_id.decode(), _read(values)) for row_id, values in rows]

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            await self._client.call("XDEL", keys.outbox(), *entry_ids)

    @override
    async def size(self) -> int:
        waiting: int = await self._client.call("XLEN", keys.outbox())
        return waiting


def _read(values: Sequence[bytes]) -> OutboxEntry:
    held = dict(zip(values[::2], values[1::2], strict=True))
    if int(held[b"v"]) > keys.FORMAT:
        raise NewerFormatError
    return _entry.decode(held[b"entry"])
