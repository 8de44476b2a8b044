"""Evaluate the shadow beside the active policy: after the answer, to no effect on it.

`watch` is called in every decision and only hands it over; `follow` runs beside the requests.
"""

import asyncio
import contextlib
import zlib
from datetime import timedelta

from stepup.domain.ids import DecisionId
from stepup.domain.policy_errors import ShadowNotFoundError
from stepup.domain.recorded_decision import Decided
from stepup.domain.shadow import ShadowTally, Watched
from stepup.ports import Ports, Shadow, ShadowPolicy
from stepup.ports.shadow import ShadowFindings
from stepup.usecases.shadowing import find_shadow

# Half a millisecond at a time: nobody's answer waits longer for it.
_AT_ONCE = 10
_PAUSE = timedelta(milliseconds=50)
_COUNT_EVERY = timedelta(seconds=1)


def watch(ports: Ports, decided: Decided, name: DecisionId) -> None:
    """Hand a decision over to the shadow, when there is one; never waits and never fails."""
    with contextlib.suppress(Exception):
        one_in = ports.site.shadow_sampling
        if ports.snapshot.shadow is None or not one_in:
            return
        if one_in > 1 and zlib.crc32(name.encode()) % one_in:
            return
        ports.state.shadow.add(Watched(id=name, decided=decided, weight=one_in))


async def follow(ports: Ports) -> None:
    """Evaluate for ever what was handed over, and pass on what was counted every second."""
    follower = Follower(ports)
    while True:
        await follower.evaluate()
        if ports.clock.now() >= follower.count_at:
            await follower.count()
        await asyncio.sleep(_PAUSE.total_seconds())


class Follower:
    """What one process has counted and not passed on yet."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._digest = ""
        self._tally = ShadowTally()
        self.count_at = ports.clock.now() + _COUNT_EVERY

    async def evaluate(self) -> None:
        """Evaluate everything that waits, a little at a time."""
        while waiting := self._ports.state.shadow.take(_AT_ONCE):
            shadow = self._shadow()
            if shadow is None:
                # It has ended, or nobody knows: what is left has nothing to be compared with.
                continue
            if shadow.digest != self._digest:
                await self.count()
                self._digest = shadow.digest
            for watched in waiting:
                self._tally.watch(watched, shadow.policy)
            await asyncio.sleep(0)

    async def count(self) -> None:
        """Pass on what was counted; what cannot be passed on now is added to the next."""
        self.count_at = self._ports.clock.now() + _COUNT_EVERY
        tally, self._tally = self._tally, ShadowTally()
        if not tally.counts:
            return
        try:
            await self._ports.state.shadow.count(self._digest, tally)
        except Exception:  # noqa: BLE001  whatever it was: a figure is late, and nothing else
            tally.counts += self._tally.counts
            tally.examples |= self._tally.examples
            self._tally = tally

    def _shadow(self) -> Shadow | None:
        with contextlib.suppress(Exception):
            return self._ports.snapshot.shadow
        return None


async def findings(ports: Ports) -> tuple[ShadowPolicy, ShadowFindings]:
    """Return the shadow, and what was counted of it by all instances.

    Raises:
        ShadowNotFoundError: If there is no shadow.
    """
    shadow = await find_shadow(ports)
    if shadow is None:
        raise ShadowNotFoundError
    return shadow, await ports.state.shadow.find(shadow.digest)
