"""Recorded decisions: handed over without waiting, carried to PostgreSQL, and read back."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

import msgspec

from stepup.domain.ids import ActionName, ClientId, DecisionId, SubjectId
from stepup.domain.recorded_decision import Outcome, RecordedDecision
from stepup.ports.outbox import Backlog


class DecisionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which recorded decisions: those that agree with all that is said; `until` is excluded."""

    since: datetime | None = None
    until: datetime | None = None
    actions: frozenset[ActionName] | None = None
    outcome: Outcome | None = None
    subject_id: SubjectId | None = None
    client_id: ClientId | None = None
    rule: str | None = None


class DecisionPlace(NamedTuple):
    """A place between recorded decisions: behind the one that it names."""

    at: datetime
    id: DecisionId


class DecisionLog(Protocol):
    """Records on their way to PostgreSQL.

    A decision waits for none of it, and none fails because of it: what finds no room is counted
    and dropped, allowances before step-ups and denials. What was accepted by `flush` is there
    until it is removed.
    """

    def add(self, record: RecordedDecision) -> None:
        """Hand a record over; it leaves with the next `flush`."""
        ...

    async def flush(self) -> None:
        """Send on what was handed over; what cannot be sent waits for the next time."""
        ...

    async def read(self, count: int) -> Sequence[tuple[str, RecordedDecision]]:
        """Return the oldest readable records with the identifiers under which they were sent.

        One that was sent twice comes twice. What a newer release wrote is passed over.
        """
        ...

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Forget records after they were written."""
        ...

    async def backlog(self) -> Backlog:
        """Say how many records wait, the unreadable ones too, and since when the oldest does."""
        ...


class DecisionStore(Protocol):
    """Recorded decisions, in one partition for each day of UTC, and one for the rest."""

    async def add_all(self, records: Sequence[RecordedDecision]) -> None:
        """Keep records, whatever their time; of those with one identifier the first one stays."""
        ...

    async def find(self, identifier: DecisionId) -> RecordedDecision | None:
        """Return one record."""
        ...

    async def page(
        self, query: DecisionQuery, *, after: DecisionPlace | None = None, count: int
    ) -> Sequence[RecordedDecision]:
        """Return the newest records behind a place, newest first."""
        ...

    async def days(self) -> Sequence[date]:
        """Return the days that have a partition, oldest first."""
        ...

    async def prepare(self, day: date) -> bool:
        """Make the partition of a day that has none; False when records of it lie elsewhere.

        Whoever has waited for a lock too long gives up.
        """
        ...

    async def drop(self, day: date) -> None:
        """Remove a day with all its records; whoever has waited for a lock too long gives up."""
        ...

    async def forget(self, before: datetime, count: int) -> int:
        """Remove up to that many older records that lie in no day's partition; say how many."""
        ...
