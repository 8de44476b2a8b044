"""The fence check: is the server that acknowledged a spend still the primary?

A primary that was deposed and does not know it still finds a replica that acknowledges its writes,
and that history is thrown away. So after the acknowledgement a majority of the Sentinels must
name this server, and none may know of an election (RELIABILITY section 2.4).
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.replies import FenceError
from stepup.adapters.redis.sentinel import Sighting

# A Sentinel sees at most so many rounds of one worker, whatever the load.
ROUND_SPACING = 0.001


class Verdict(Enum):
    """What the Sentinels say about one server; the values are labels of a metric."""

    OK = "ok"
    VETO = "veto"
    NO_MAJORITY = "no_majority"


class Witness(Protocol):
    """Somebody who knows the primary, as a Sentinel does."""

    async def ask(self, address: Address) -> Sighting | None:
        """Say what is known now; None when there is no answer in time."""
        ...


class Fence(Protocol):
    """Decides whether what a server said may leave the house."""

    async def check(self, address: Address, epoch: int | None = None) -> None:
        """Return when the server at the address is the primary, by a question asked after now.

        And has been since the configuration of that epoch: one that was deposed and is the primary
        again may have forgotten what it said before.

        Raises:
            FenceError: If it is not, or nobody can say.
        """
        ...

    async def close(self) -> None:
        """Refuse whoever waits."""
        ...


class NoFence(Fence):
    """One node is always the primary."""

    @override
    async def check(self, address: Address, epoch: int | None = None) -> None:
        """Nobody could have taken its place."""

    @override
    async def close(self) -> None:
        """Nobody waits."""


def judge(
    sightings: Sequence[Sighting | None], address: Address, epoch: int | None = None
) -> Verdict:
    """Weigh what every configured Sentinel said; None stands for one that did not answer.

    `epoch` is that of the configuration in which the server was found, None when nobody knows it.
    """
    heard = [sighting for sighting in sightings if sighting is not None]
    agreeing = [seen for seen in heard if seen.address == address and not seen.is_down]
    if any(sighting.is_failing_over for sighting in heard):
        return Verdict.VETO
    if epoch is not None and any(sighting.config_epoch > epoch for sighting in heard):
        return Verdict.VETO
    # Whom a vote was for is one of the Sentinels. When all of them were heard and none stands, that
    # candidate has given up, and would need a new election; otherwise it may be about to win.
    if any(seen.has_voted for seen in heard) and len(agreeing) < len(sightings):
        return Verdict.VETO
    if 2 * len(agreeing) <= len(sightings):
        return Verdict.NO_MAJORITY
    oldest = min(seen.config_epoch for seen in agreeing)
    newer = (s for s in heard if s.address != address and s.config_epoch >= oldest)
    return Verdict.VETO if any(newer) else Verdict.OK


Judge = Callable[[Sequence[Sighting | None], Address, int | None], Verdict]


class SentinelFence(Fence):
    """One round of questions is under way at a time, and serves all who came before it began."""

    def __init__(
        self,
        sentinels: Sequence[Witness],
        judge: Judge = judge,
    ) -> None:
        self._sentinels = sentinels
        self._judge = judge
        self._waiting: dict[tuple[Address, int | None], asyncio.Future[Verdict]] = {}
        self._rounds: asyncio.Task[None] | None = None

    @override
    async def check(self, address: Address, epoch: int | None = None) -> None:
        # One caller who leaves must not take the answer from the others.
        verdict = await asyncio.shield(self._next_round(address, epoch))
        if verdict is not Verdict.OK:
            raise FenceError(f"the Sentinels say {verdict.value}")

    @override
    async def close(self) -> None:
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait([self._rounds])

    def _next_round(self, address: Address, epoch: int | None) -> asyncio.Future[Verdict]:
        loop = asyncio.get_running_loop()
        if self._rounds is None or self._rounds.done():
            self._rounds = loop.create_task(self._run())
        return self._waiting.setdefault((address, epoch), loop.create_future())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            begun = loop.time()
            try:
                for (address, epoch), verdict in waiting.items():
                    verdict.set_result(await self._ask(address, epoch))
            finally:
                # Whatever went wrong, nobody is left waiting and nobody gets through.
                for verdict in waiting.values():
                    if not verdict.done():
                        verdict.set_result(Verdict.NO_MAJORITY)
            telemetry.redis_fence_duration_seconds.observe(loop.time() - begun)
            await asyncio.sleep(begun + ROUND_SPACING - loop.time())

    async def _ask(self, address: Address, epoch: int | None) -> Verdict:
        sightings = await asyncio.gather(*(each.ask(address) for each in self._sentinels))
        verdict = self._judge(sightings, address, epoch)
        telemetry.redis_fence_checks_total.labels(result=verdict.value).inc()
        return verdict
