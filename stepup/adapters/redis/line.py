"""A wire to the primary that is made again whenever it breaks."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Resolver
from stepup.adapters.redis.wire import Wire

FIRST_PAUSE = 0.025
LONGEST_PAUSE = 0.25
# A connection that lived shorter than this does not prove that the next one will.
SOUND_AFTER = 1.0
LOOK_EVERY = 0.1
_CANCEL_AGAIN = 0.5


class Line:
    """Keeps one wire open, without being asked, so that a request finds it ready.

    Each wire has a generation number: what was written to an older one is answered by it or never.
    """

    def __init__(self, resolver: Resolver, client_name: str) -> None:
        self._resolver = resolver
        self._client_name = client_name
        self._up = asyncio.Event()
        self._wire: Wire | None = None
        self._down_since = 0.0
        self._generation = 0
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False
        self._opening: asyncio.Task[Wire] | None = None
        self._hurry = asyncio.Event()
        self.trouble = "not connected yet"

    def start(self) -> None:
        """Begin to connect."""
        self._down_since = asyncio.get_running_loop().time()
        self._keeper = asyncio.create_task(self._keep())

    async def wire(self, while_down: Callable[[], None]) -> Wire:
        """Return the live wire; call `while_down` from time to time until there is one."""
        while self._wire is None or not self._wire.usable:
            while_down()
            self._up.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._up.wait()
        return self._wire

    def down_for(self) -> float:
        """Return for how many seconds there has been no wire."""
        if self._wire is not None and self._wire.usable:
            return 0.0
        return asyncio.get_running_loop().time() - self._down_since

    def drop(self, why: str) -> None:
        """Give up the wire, or the one that is being opened; what is in flight is lost."""
        self._hurry.set()
        if self._opening is not None:
            self._opening.cancel()
        if self._wire is not None:
            self._wire.drop(why)

    async def close(self) -> None:
        """Stop connecting, and close."""
        self._closing = True
        await stop(self._keeper)
        if self._wire is not None:
            await self._wire.close()

    async def _keep(self) -> None:
        pause, clock = 0.0, asyncio.get_running_loop().time
        while True:
            await self._rest(pause)
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._generation += 1
            try:
                wire = await self._open()
            except (RedisError, OSError) as error:
                self.trouble = str(error) or type(error).__name__
                continue
            if wire is None:
                continue
            self._wire, opened_at = wire, clock()
            if self._closing:  # the driver has swallowed our cancellation while it connected
                return
            self._up.set()
            await wire.until_broken()
            self._down_since = clock()
            if self._down_since - opened_at > SOUND_AFTER:
                pause = 0.0

    async def _rest(self, seconds: float) -> None:
        """Wait before the next try, unless somebody knows that it is worth one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _open(self) -> Wire | None:
        """Open a wire; None when it was given up meanwhile."""
        endpoint = await self._resolver.primary()
        opening = Wire.open(endpoint, self._client_name, self._generation)
        self._opening = asyncio.create_task(opening)
        try:
            await asyncio.wait([self._opening])
            return None if self._opening.cancelled() else self._opening.result()
        except asyncio.CancelledError:
            # We are being closed while it opens; nobody else would close it.
            self._opening.add_done_callback(_drop_opened)
            self._opening.cancel()
            raise
        finally:
            self._opening = None


def _drop_opened(opening: asyncio.Task[Wire]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().drop("closed")


async def stop(task: asyncio.Task[None] | None) -> None:
    """Cancel a task of ours and wait until it has ended.

    More than once if need be: a cancellation that meets a connection being made may get lost.
    """
    if task is None:
        return
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def stop_all(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel what nobody waits for any more, and forget how it ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
