"""What is given back behind a request that ended without knowing what became of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.scripts import Argument, Script
from stepup.domain.errors import StepUpError
from stepup.ports import Clock

# More at once is an outage of everything; what is not given back stays spent, which is safe.
MOST_AT_ONCE = 1_000
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Releases:
    """Tasks that try until Redis has said what became of it, or it has expired."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self, script: Script, on: Sequence[str], args: Sequence[Argument], until: datetime
    ) -> None:
        """Give something back with a script that says what it found, now or later.

        Nobody waits for it.
        """
        if len(self._tasks) < MOST_AT_ONCE:
            task = asyncio.create_task(self._release(script, on, args, until))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is not given back yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _release(
        self, script: Script, on: Sequence[str], args: Sequence[Argument], until: datetime
    ) -> None:
        pause = FIRST_PAUSE
        while self._clock.now() < until:
            with suppress(StepUpError):
                reply = await self._client.spend(script, on, args, same_attempt=True)
                # Unspent is no end: what spends it may still lie before a server that was frozen.
                if reply.status != "unspent":
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
