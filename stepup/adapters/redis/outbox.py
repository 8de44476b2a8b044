"""Rows on their way to PostgreSQL, in a stream."""

from collections.abc import Sequence

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.entries import WaitingEntries
from stepup.ports import Backlog, Outbox, OutboxEntry

_json = msgspec.json.Encoder()
_entry: msgspec.json.Decoder[OutboxEntry] = msgspec.json.Decoder(OutboxEntry)


class RedisOutbox(Outbox):
    """Entries carry no secrets, so they lie open; an entry goes when it was written."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._waiting = WaitingEntries(client, keys.outbox(), _entry)

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        if entries:
            # No repetition: an entry that is there twice would be written twice.
            await self._client.spend(
                scripts.APPEND_ENTRIES, [keys.outbox()], [_json.encode(entry) for entry in entries]
            )

    @override
    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        return await self._waiting.read(count)

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await self._waiting.remove(entry_ids)

    @override
    async def backlog(self) -> Backlog:
        return await self._waiting.backlog()
