"""The primary behind Sentinels: polled, listened for, and numbered.

redis-py asks a Sentinel only when it connects, so an open connection goes on talking to a primary
that was deposed. Here all Sentinels are asked all the time, `+switch-master` is heard, and with
another primary every connection to the old one is given up together (RELIABILITY section 3.2).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from redis.exceptions import ConnectionError as NobodyKnowsError
from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis.endpoint import Endpoint, Resolver
from stepup.adapters.redis.line import stop
from stepup.adapters.redis.sentinel import Sentinel, Sighting
from stepup.adapters.redis.sentinel_url import SentinelUrl

POLL_EVERY = 0.25
# Until somebody has answered for the first time, a start waits for us.
POLL_AT_START = 0.02
# Who ended a failover tells the others within two seconds; until then they say less than we know.
_NEWS_TRAVELS = 10.0


class SentinelResolver(Resolver):
    """Asks every Sentinel; the newest configuration that any of them has is the true one."""

    def __init__(self, url: SentinelUrl, client_name: str) -> None:
        self.sentinels = tuple(
            Sentinel(endpoint, url.name, f"{client_name}-sentinel") for endpoint in url.sentinels
        )
        self._url = url
        self._current: Endpoint | None = None
        self._epoch = -1
        self._generation = 0
        self._less_since: float | None = None
        self._nudged = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    @override
    def generation(self) -> int:
        return self._generation

    @override
    async def primary(self) -> Endpoint:
        # Whoever asks has lost a connection: look at once.
        self._nudged.set()
        if self._current is None:
            raise NobodyKnowsError("no Sentinel names a primary")
        return self._current

    @override
    def on_change(self, tell: Callable[[], None]) -> None:
        self._listeners.append(tell)

    @override
    def start(self) -> None:
        for sentinel in self.sentinels:
            sentinel.start()
            self._tasks.append(asyncio.create_task(sentinel.listen(self._nudged.set)))
        self._tasks.append(asyncio.create_task(self._watch()))

    @override
    async def close(self) -> None:
        for task in self._tasks:
            await stop(task)
        await asyncio.gather(*(sentinel.close() for sentinel in self.sentinels))

    async def _watch(self) -> None:
        while True:
            address = self._current.address if self._current else None
            heard = await asyncio.gather(*(each.ask(address) for each in self.sentinels))
            self._learn([sighting for sighting in heard if sighting is not None])
            await self._rest()

    async def _rest(self) -> None:
        pause = POLL_EVERY if self._current else POLL_AT_START
        # Those who nudge because they cannot connect come every few milliseconds.
        await asyncio.sleep(POLL_AT_START)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause - POLL_AT_START):
                await self._nudged.wait()
        self._nudged.clear()

    def _learn(self, heard: Sequence[Sighting]) -> None:
        newest = newest_of(heard)
        if newest is None or self._is_outdated(newest, heard):
            return
        before, self._epoch = self._epoch, newest.config_epoch
        # Who is about to finish a failover names the new primary, and still the old epoch.
        epoch = None if newest.is_failing_over else newest.config_epoch
        endpoint, current = self._url.server(newest.address, epoch), self._current
        if current is not None and current.address == endpoint.address:
            if current.epoch is None:
                self._current = endpoint
                return
            if newest.config_epoch == before:
                return
        is_first = self._current is None
        self._current = endpoint
        self._generation += 1
        if not is_first:
            telemetry.redis_failovers_total.inc()
            for tell in self._listeners:
                tell()

    def _is_outdated(self, newest: Sighting, heard: Sequence[Sighting]) -> bool:
        """Say whether those who know better are merely not heard.

        Somebody may have made the set anew, with lower numbers: all Sentinels together are
        believed at once, a majority when it goes on saying so.
        """
        if newest.config_epoch >= self._epoch:
            self._less_since = None
            return False
        now = asyncio.get_running_loop().time()
        if self._less_since is None:
            self._less_since = now
        if len(heard) == len(self.sentinels):
            return False
        return 2 * len(heard) <= len(self.sentinels) or now - self._less_since < _NEWS_TRAVELS


def newest_of(heard: Sequence[Sighting]) -> Sighting | None:
    """Return the sighting with the newest configuration; of several the one most agree on."""
    votes = Counter((sighting.config_epoch, sighting.address) for sighting in heard)
    return max(
        heard,
        key=lambda seen: (seen.config_epoch, votes[seen.config_epoch, seen.address]),
        default=None,
    )
