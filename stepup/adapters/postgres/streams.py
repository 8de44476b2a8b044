"""Event streams: each whole in a document, beside it what moves while events leave."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import signal_choice as choice
from stepup.adapters.postgres.tables import signal_event as event
from stepup.adapters.postgres.tables import signal_stream as table
from stepup.domain.ids import ClientId, SubjectId
from stepup.domain.streams import DeliveryMethod, Stream, StreamId, StreamStatus
from stepup.ports import PushHealth, PushTurn, StreamStore


class PostgresStreamStore(StreamStore):
    """Rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def all(self) -> Sequence[Stream]:
        return await self._read()

    @override
    async def of_client(self, client_id: ClientId) -> Sequence[Stream]:
        return [each for each in await self._read() if each.client_id == client_id]

    @override
    async def lock(self, stream_id: StreamId) -> Stream | None:
        found = select(table.c.data).where(table.c.stream_id == stream_id).with_for_update()
        rows = await self._transaction.rows(found)
        return _stream(rows[0].data) if rows else None

    @override
    async def put(self, stream: Stream) -> None:
        values = {
            "client_id": stream.client_id,
            "created_at": stream.created_at,
            "status": stream.status.value,
            "pushed": stream.delivery.method is DeliveryMethod.PUSH,
            "data": msgspec.to_builtins(stream),
        }
        statement = insert(table).values(stream_id=stream.id, **values)
        await self._transaction.change(
            # Whoever changed his address or his header wants to see at once what became of it.
            statement.on_conflict_do_update(
                index_elements=[table.c.stream_id],
                set_=values | {"failures": 0, "refusals": 0, "next_at": None},
            )
        )

    @override
    async def remove(self, stream_id: StreamId) -> None:
        for each in (choice, event, table):
            await self._transaction.change(delete(each).where(each.c.stream_id == stream_id))

    @override
    async def choose(self, stream_id: StreamId, subject_id: SubjectId, *, wanted: bool) -> None:
        statement = insert(choice).values(stream_id=stream_id, subject_id=subject_id, wanted=wanted)
        await self._transaction.change(
            statement.on_conflict_do_update(
                index_elements=[choice.c.stream_id, choice.c.subject_id], set_={"wanted": wanted}
            )
        )

    @override
    async def choices(self, subject_id: SubjectId) -> Mapping[StreamId, bool]:
        found = select(choice.c.stream_id, choice.c.wanted).where(choice.c.subject_id == subject_id)
        rows = await self._transaction.rows(found)
        return {StreamId(row.stream_id): row.wanted for row in rows}

    @override
    async def verify(self, stream_id: StreamId, at: datetime, not_since: datetime) -> bool:
        statement = (
            update(table)
            .where(
                table.c.stream_id == stream_id,
                or_(table.c.verified_at.is_(None), table.c.verified_at <= not_since),
            )
            .values(verified_at=at)
        )
        return await self._transaction.change(statement) == 1

    @override
    async def take_turn(self, at: datetime, until: datetime) -> PushTurn | None:
        something_to_send = exists().where(
            event.c.stream_id == table.c.stream_id,
            event.c.problem.is_(None),
            or_(
                table.c.status == StreamStatus.ENABLED.value,
                and_(table.c.status == StreamStatus.PAUSED.value, event.c.parting),
            ),
        )
        due = (
            select(table.c.stream_id)
            .where(
                table.c.pushed,
                or_(table.c.next_at.is_(None), table.c.next_at <= at),
                or_(table.c.turn_until.is_(None), table.c.turn_until <= at),
                something_to_send,
            )
            .order_by(table.c.next_at.nulls_first(), table.c.stream_id)
            .limit(1)
            # Two who ask at once get two streams, or one of them none.
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(table)
            .where(table.c.stream_id == due.scalar_subquery())
            .values(turn_until=until)
            .returning(table.c.data, table.c.failures, table.c.refusals)
        )
        rows = await self._transaction.rows(taken)
        if not rows:
            return None
        health = PushHealth(rows[0].failures, rows[0].refusals)
        return PushTurn(_stream(rows[0].data), health)

    @override
    async def end_turn(self, stream_id: StreamId, health: PushHealth, next_at: datetime) -> None:
        statement = (
            update(table)
            .where(table.c.stream_id == stream_id)
            .values(
                failures=health.failures,
                refusals=health.refusals,
                next_at=next_at,
                turn_until=None,
            )
        )
        await self._transaction.change(statement)

    async def _read(self) -> Sequence[Stream]:
        found = select(table.c.data).order_by(table.c.created_at, table.c.stream_id)
        return [_stream(row.data) for row in await self._transaction.rows(found)]


def _stream(data: object) -> Stream:
    return msgspec.convert(data, Stream)
