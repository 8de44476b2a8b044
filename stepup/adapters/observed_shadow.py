"""What the shadow says, in figures."""

from collections.abc import Sequence

from typing_extensions import override

from stepup import telemetry
from stepup.domain.shadow import ShadowTally, Watched
from stepup.ports.shadow import ShadowFindings, ShadowLog


class ObservedShadowLog(ShadowLog):
    """A log that shows what was counted, and what was not evaluated."""

    def __init__(self, log: ShadowLog) -> None:
        self._log = log

    @override
    def add(self, watched: Watched) -> bool:
        added = self._log.add(watched)
        if not added:
            telemetry.shadow_dropped_total.inc()
        return added

    @override
    def take(self, count: int) -> Sequence[Watched]:
        return self._log.take(count)

    @override
    async def count(self, digest: str, tally: ShadowTally) -> None:
        await self._log.count(digest, tally)
        for (action, result), count in tally.counts.items():
            telemetry.shadow_decisions_total.labels(action=action, difference=result).inc(count)

    @override
    async def find(self, digest: str) -> ShadowFindings:
        return await self._log.find(digest)
