"""Hearing a stream: a blocking read on a connection of its own, on whichever server is the primary.

A stream rather than pub/sub, because a listener who lost his connection goes on where he was.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Resolver, connect

BLOCK_MS = 1000
# A server that is merely slow gets this much longer than it was asked to block.
PATIENCE = 1.0
PAUSE = 0.25


class Heard(NamedTuple):
    """An entry of a stream."""

    entry_id: bytes
    values: dict[bytes, bytes]


class StreamListener:
    """Each listener has a connection of its own: a blocking read answers nothing behind it."""

    def __init__(self, resolver: Resolver, client_name: str, stream: str) -> None:
        self._resolver = resolver
        self._client_name = client_name
        self._stream = stream

    async def entries(self) -> AsyncGenerator[Heard, None]:
        """Yield what is added from now on, for ever; reconnects by itself."""
        last: bytes | None = None
        while True:
            connection: AbstractConnection | None = None
            try:
                generation = self._resolver.generation
                endpoint = await self._resolver.primary()
                connection = endpoint.new_connection(self._client_name)
                await connect(connection)
                last = last or await self._last_id(connection)
                # A server that was deposed would go on answering, with nothing.
                while generation == self._resolver.generation:
                    for heard in await self._next(connection, last):
                        last = heard.entry_id
                        yield heard
            except (RedisError, OSError):
                await asyncio.sleep(PAUSE)
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)

    async def _last_id(self, connection: AbstractConnection) -> bytes:
        await connection.send_command("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        rows = await connection.read_response()
        return bytes(rows[0][0]) if rows else b"0-0"

    async def _next(self, connection: AbstractConnection, last: bytes) -> Sequence[Heard]:
        command = ("XREAD", "BLOCK", BLOCK_MS, "STREAMS", self._stream, last)
        await connection.send_command(*command)
        # A time-out of ours comes back as None like an empty answer, so it is told apart here.
        async with asyncio.timeout(BLOCK_MS / 1000 + PATIENCE):
            streams: dict[bytes, list[Any]] | None = await connection.read_response(
                timeout=float("inf")
            )
        return [
            Heard(entry_id, dict(zip(values[::2], values[1::2], strict=True)))
            for entry_id, values in _rows(streams or {})
        ]


def _rows(streams: dict[bytes, list[Any]]) -> list[Any]:
    return [row for rows in streams.values() for row in rows]
