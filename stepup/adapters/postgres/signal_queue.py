"""SETs that wait for their receivers: rows in the order of writing, gone when they are delivered."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import signal_event as table
from stepup.domain.streams import QueuedEvent, Stream, StreamId, StreamStatus
from stepup.ports import SignalBacklog, SignalQueue


class PostgresSignalQueue(SignalQueue):
    """Rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, events: Sequence[QueuedEvent]) -> None:
        if events:
            statement = insert(table).values([_values(each) for each in events])
            await self._transaction.change(statement.on_conflict_do_nothing())

    @override
    async def waiting(self, stream: Stream, count: int) -> Sequence[QueuedEvent]:
        if stream.status is StreamStatus.DISABLED:
            return []
        found = (
            select(table)
            .where(table.c.stream_id == stream.id, table.c.problem.is_(None))
            .order_by(table.c.seq)
            .limit(count)
        )
        if stream.status is StreamStatus.PAUSED:
            found = found.where(table.c.parting)
        return [_event(row) for row in await self._transaction.rows(found)]

    @override
    async def forget(self, stream_id: StreamId, event_ids: Collection[str]) -> int:
        statement = delete(table).where(
            table.c.stream_id == stream_id, table.c.event_id.in_(event_ids)
        )
        return await self._transaction.change(statement) if event_ids else 0

    @override
    async def drop_waiting(self, stream_id: StreamId) -> None:
        waiting = (table.c.stream_id == stream_id, table.c.problem.is_(None))
        await self._transaction.change(delete(table).where(*waiting))

    @override
    async def tried(self, stream_id: StreamId, event_id: str) -> int:
        statement = (
            update(table)
            .where(table.c.stream_id == stream_id, table.c.event_id == event_id)
            .values(tries=table.c.tries + 1)
            .returning(table.c.tries)
        )
        rows = await self._transaction.rows(statement)
        return int(rows[0].tries) if rows else 0

    @override
    async def set_aside(self, stream_id: StreamId, problems: Mapping[str, str]) -> int:
        changed = 0
        for event_id, problem in sorted(problems.items()):
            statement = (
                update(table)
                .where(
                    table.c.stream_id == stream_id,
                    table.c.event_id == event_id,
                    table.c.problem.is_(None),
                )
                .values(problem=problem)
            )
            changed += await self._transaction.change(statement)
        return changed

    @override
    async def aside(self, stream_id: StreamId) -> Sequence[QueuedEvent]:
        found = (
            select(table)
            .where(table.c.stream_id == stream_id, table.c.problem.is_not(None))
            .order_by(table.c.seq)
        )
        return [_event(row) for row in await self._transaction.rows(found)]

    @override
    async def return_aside(self, stream_id: StreamId) -> int:
        statement = (
            update(table)
            .where(table.c.stream_id == stream_id, table.c.problem.is_not(None))
            .values(problem=None, tries=0)
        )
        return await self._transaction.change(statement)

    @override
    async def expire(self, before: datetime) -> int:
        return await self._transaction.change(delete(table).where(table.c.queued_at < before))

    @override
    async def backlog(self) -> SignalBacklog:
        waits = table.c.problem.is_(None)
        [row] = await self._transaction.rows(
            select(
                func.count().filter(waits).label("waiting"),
                func.min(table.c.queued_at).filter(waits).label("oldest_at"),
                func.count(table.c.problem).label("set_aside"),
            )
        )
        return SignalBacklog(row.waiting, row.oldest_at, row.set_aside)


def _values(event: QueuedEvent) -> dict[str, object]:
    return {
        "stream_id": event.stream_id,
        "event_id": event.id,
        "type": event.type,
        "claims": event.claims.decode(),
        "queued_at": event.queued_at,
        "parting": event.parting,
    }


def _event(row: Row[Any]) -> QueuedEvent:
    return QueuedEvent(
        stream_id=StreamId(row.stream_id),
        id=row.event_id,
        type=row.type,
        claims=row.claims.encode(),
        queued_at=row.queued_at,
        parting=row.parting,
        tries=row.tries,
        problem=row.problem,
    )
