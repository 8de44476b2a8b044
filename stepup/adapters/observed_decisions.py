"""How many recorded decisions wait for PostgreSQL, in figures."""

from collections.abc import Sequence
from datetime import timedelta

from typing_extensions import override

from stepup import telemetry
from stepup.domain.recorded_decision import RecordedDecision
from stepup.ports import Backlog, Clock, DecisionLog


class ObservedDecisionLog(DecisionLog):
    """A log that shows its backlog whenever somebody looks at it."""

    def __init__(self, log: DecisionLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    @override
    def add(self, record: RecordedDecision) -> None:
        self._log.add(record)

    @override
    async def flush(self) -> None:
        await self._log.flush()

    @override
    async def read(self, count: int) -> Sequence[tuple[str, RecordedDecision]]:
        return await self._log.read(count)

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await self._log.remove(entry_ids)

    @override
    async def backlog(self) -> Backlog:
        backlog = await self._log.backlog()
        telemetry.decision_backlog_entries.set(backlog.entries)
        age = timedelta(0)
        if backlog.oldest_at is not None:
            # The moment is Redis's and the clock is ours: they may disagree by a little.
            age = max(age, self._clock.now() - backlog.oldest_at)
        telemetry.decision_backlog_oldest_age_seconds.set(age.total_seconds())
        return backlog
