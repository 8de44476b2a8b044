"""The connection for what waits for nobody: reads, limits, stream entries.

All commands of one turn of the event loop leave in one write. Nothing here may block the server.
"""

import asyncio
from typing import Any

from stepup.adapters.redis.calls import CallQueue
from stepup.adapters.redis.endpoint import Resolver
from stepup.adapters.redis.line import Line, stop
from stepup.adapters.redis.replies import UnsentError
from stepup.adapters.redis.scripts import Command

MOST_AT_ONCE = 1024


class PlainConnection:
    """Multiplexed commands, one write per loop turn."""

    def __init__(self, resolver: Resolver, client_name: str) -> None:
        self.line = Line(resolver, client_name)
        self.queue = CallQueue()
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect and to write."""
        self.line.start()
        self._pump = asyncio.create_task(self._run())

    def send(
        self, command: Command, deadline: float, *, asking: bool = False
    ) -> asyncio.Future[Any]:
        """Queue a command that must be written before the deadline."""
        return self.queue.add(command, deadline, asking=asking)

    async def _run(self) -> None:
        while True:
            await self.queue.filled()
            wire = await self.line.wire(self.queue.expire)
            calls = self.queue.take(MOST_AT_ONCE)
            if calls:
                await wire.write(calls)

    async def close(self) -> None:
        """Close; what is queued is refused."""
        self.queue.close(UnsentError("closed"))
        await stop(self._pump)
        await self.line.close()
