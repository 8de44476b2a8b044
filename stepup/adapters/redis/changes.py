"""The quick way to tell every instance that configuration changed: a stream, heard blocking.

A stream rather than pub/sub, because a listener who lost his connection goes on where he was.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Resolver, connect
from stepup.adapters.redis.times import span_ms
from stepup.domain.errors import StepUpError
from stepup.ports import Changes

BLOCK_MS = 1000
# A server that is merely slow gets this much longer than it was asked to block.
PATIENCE = 1.0
PAUSE = 0.25


class RedisChanges(Changes):
    """Each listener has a connection of its own: a blocking read answers nothing behind it."""

    def __init__(self, client: RedisClient, resolver: Resolver, client_name: str) -> None:
        self._client = client
        self._resolver = resolver
        self._client_name = client_name

    @override
    async def announce(self) -> None:
        with contextlib.suppress(StepUpError):
            await self._client.run(
                scripts.ANNOUNCE_CHANGE,
                [keys.changes()],
                [span_ms(keys.CHANGES_KEPT), keys.CHANGES_LENGTH],
            )

    @override
    async def listen(self) -> AsyncIterator[None]:
        last: bytes | None = None
        while True:
            connection: AbstractConnection | None = None
            try:
                generation = self._resolver.generation
                endpoint = await self._resolver.primary()
                connection = endpoint.new_connection(self._client_name)
                await connect(connection)
                last = last or await _last_id(connection)
                # A server that was deposed would go on answering, with nothing.
                while generation == self._resolver.generation:
                    heard = await _next_ids(connection, last)
                    for entry_id in heard:
                        last = entry_id
                        yield
            except (RedisError, OSError):
                await asyncio.sleep(PAUSE)
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)


async def _last_id(connection: AbstractConnection) -> bytes:
    await connection.send_command("XREVRANGE", keys.changes(), "+", "-", "COUNT", 1)
    rows = await connection.read_response()
    return bytes(rows[0][0]) if rows else b"0-0"


async def _next_ids(connection: AbstractConnection, last: bytes) -> list[bytes]:
    command = ("XREAD", "BLOCK", BLOCK_MS, "STREAMS", keys.changes(), last)
    await connection.send_command(*command)
    # A time-out of ours comes back as None like an empty answer, so it is told apart here.
    async with asyncio.timeout(BLOCK_MS / 1000 + PATIENCE):
        streams: dict[bytes, list[Any]] | None = await connection.read_response(
            timeout=float("inf")
        )
    return [entry_id for rows in (streams or {}).values() for entry_id, _ in rows]
