"""Recorded decisions in memory, held to the same contracts as the real ones."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime

from typing_extensions import override

from stepup.domain.ids import DecisionId
from stepup.domain.recorded_decision import RecordedDecision
from stepup.ports import (
    Backlog,
    Clock,
    DecisionLog,
    DecisionPlace,
    DecisionQuery,
    DecisionStore,
)


class MemoryDecisionLog(DecisionLog):
    """Records in a list until they are flushed, then in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: list[RecordedDecision] = []
        self._waiting: dict[str, tuple[datetime, RecordedDecision]] = {}
        self._count = 0

    @override
    def add(self, record: RecordedDecision) -> None:
        self._held.append(record)

    @override
    async def flush(self) -> None:
        await asyncio.sleep(0)
        held, self._held = self._held, []
        for record in held:
            self._count += 1
            self._waiting[f"{self._count}-0"] = (self._clock.now(), record)

    @override
    async def read(self, count: int) -> Sequence[tuple[str, RecordedDecision]]:
        await asyncio.sleep(0)
        return [(name, record) for name, (_, record) in self._waiting.items()][:count]

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await asyncio.sleep(0)
        for entry_id in entry_ids:
            self._waiting.pop(entry_id, None)

    @override
    async def backlog(self) -> Backlog:
        await asyncio.sleep(0)
        oldest = next(iter(self._waiting.values()), None)
        return Backlog(len(self._waiting), oldest[0] if oldest else None)


class MemoryDecisionStore(DecisionStore):
    """Records in a dictionary, and the days that were made for them."""

    def __init__(self, rows: dict[DecisionId, RecordedDecision], days: set[date]) -> None:
        self._rows = rows
        self._days = days

    @override
    async def add_all(self, records: Sequence[RecordedDecision]) -> None:
        await asyncio.sleep(0)
        for record in records:
            self._rows.setdefault(record.id, record)

    @override
    async def find(self, identifier: DecisionId) -> RecordedDecision | None:
        return self._rows.get(identifier)

    @override
    async def page(
        self, query: DecisionQuery, *, after: DecisionPlace | None = None, count: int
    ) -> Sequence[RecordedDecision]:
        found = [record for record in self._rows.values() if _agrees(record, query)]
        found.sort(key=_place, reverse=True)
        return [r for r in found if after is None or _place(r) < after][:count]

    @override
    async def days(self) -> Sequence[date]:
        return sorted(self._days)

    @override
    async def prepare(self, day: date) -> bool:
        if any(_day(record) == day for record in self._rows.values()):
            return False
        self._days.add(day)
        return True

    @override
    async def drop(self, day: date) -> None:
        self._days.discard(day)
        for record in [r for r in self._rows.values() if _day(r) == day]:
            del self._rows[record.id]

    @override
    async def forget(self, before: datetime, count: int) -> int:
        astray = [r for r in self._rows.values() if _day(r) not in self._days and r.at < before]
        for record in astray[:count]:
            del self._rows[record.id]
        return len(astray[:count])


def _agrees(record: RecordedDecision, query: DecisionQuery) -> bool:
    pairs = (
        (query.outcome, record.outcome),
        (query.subject_id, record.subject_id),
        (query.client_id, record.client_id),
        (query.rule, record.rule),
    )
    return (
        (query.since is None or query.since <= record.at)
        and (query.until is None or record.at < query.until)
        and (query.actions is None or record.request.action in query.actions)
        and all(wanted in {None, held} for wanted, held in pairs)
    )


def _place(record: RecordedDecision) -> DecisionPlace:
    return DecisionPlace(record.at, record.id)


def _day(record: RecordedDecision) -> date:
    return record.at.astimezone(UTC).date()
