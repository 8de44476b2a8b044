"""Recorded decisions: a partition for each day, one for the rest, and the record as JSON text.

The columns beside the record are what it is looked up by; it is read back from `record` alone,
which is text and not `jsonb`: nothing takes it apart on the server, and 100,000 are read at once.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Select,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy import table as any_table
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSON, insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import decision as table
from stepup.domain.ids import DecisionId
from stepup.domain.recorded_decision import RecordedDecision, moment_of
from stepup.ports import DecisionPlace, DecisionQuery, DecisionStore

# What any identifier of a policy fits in. A caller may invent an action of a thousand characters,
# which no index would take.
LONGEST_NAME = 200

_OTHER = any_table("decision_other", column("at", table.c.at.type))
_PARTITION = re.compile(r"decision_(\d{8})\Z", re.ASCII)
_DAY = "%Y%m%d"
_json = msgspec.json.Encoder()
_record = msgspec.json.Decoder(RecordedDecision)

_PARTITIONS = sql(
    "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = 'decision'::regclass ORDER BY c.relname"
)


class PostgresDecisionStore(DecisionStore):
    """Rows that are added once, and go with their day."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add_all(self, records: Sequence[RecordedDecision]) -> None:
        if records:
            await self._transaction.change(_insert(records))

    @override
    async def find(self, identifier: DecisionId) -> RecordedDecision | None:
        at = moment_of(identifier)
        if at is None:
            return None
        found = await self._records(
            select(table.c.record).where(
                table.c.id == identifier,
                table.c.at >= at,
                table.c.at < at + timedelta(milliseconds=1),
            )
        )
        return found[0] if found else None

    @override
    async def page(
        self, query: DecisionQuery, *, after: DecisionPlace | None = None, count: int
    ) -> Sequence[RecordedDecision]:
        statement = _matching(query).order_by(table.c.at.desc(), table.c.id.desc()).limit(count)
        if after is not None:
            # The first condition alone keeps partitions of later days out of it.
            statement = statement.where(
                table.c.at <= after.at,
                tuple_(table.c.at, table.c.id) < tuple_(after.at, after.id),
            )
        return await self._records(statement)

    @override
    async def days(self) -> Sequence[date]:
        names = [row.name for row in await self._transaction.rows(_PARTITIONS)]
        matches = [match for name in names if (match := _PARTITION.match(name))]
        return [datetime.strptime(match[1], _DAY).replace(tzinfo=UTC).date() for match in matches]

    @override
    async def prepare(self, day: date) -> bool:
        begin, end = _midnight(day), _midnight(day + timedelta(days=1))
        astray = select(_OTHER.c.at).where(_OTHER.c.at >= begin, _OTHER.c.at < end).limit(1)
        if await self._transaction.rows(astray):
            return False
        # Made first and attached then: whoever writes into another day need not wait for it.
        await self._transaction.change(
            sql(f"CREATE TABLE {_name(day)} (LIKE decision INCLUDING DEFAULTS)")
        )
        await self._transaction.change(
            sql(
                f"ALTER TABLE decision ATTACH PARTITION {_name(day)} "
                f"FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        )
        return True

    @override
    async def drop(self, day: date) -> None:
        await self._transaction.change(sql(f"DROP TABLE IF EXISTS {_name(day)}"))

    @override
    async def forget(self, before: datetime, count: int) -> int:
        place: Column[Any] = literal_column("decision_other.ctid")  # type: ignore[assignment]
        # Whoever else is at it takes other rows.
        old = select(place).where(_OTHER.c.at < before).limit(count)
        statement = delete(_OTHER).where(place.in_(old.with_for_update(skip_locked=True)))
        return await self._transaction.change(statement)

    async def _records(self, statement: Select[Any]) -> list[RecordedDecision]:
        return [_record.decode(row[0]) for row in await self._transaction.rows(statement)]


def _insert(records: Sequence[RecordedDecision]) -> Any:
    # A batch travels as one JSON value: one statement for every size, and one parameter.
    rows = [{each.name: _value(record, each.name) for each in table.c} for record in records]
    columns = (column(each.name, each.type) for each in table.c)
    batch = func.json_to_recordset(literal(rows, JSON)).table_valued(*columns)
    given = batch.render_derived(name="given", with_types=True)
    statement = insert(table).from_select([c.name for c in table.c], select(*given.c))
    return statement.on_conflict_do_nothing(index_elements=[table.c.at, table.c.id])


def _value(record: RecordedDecision, name: str) -> object:
    match name:
        case "action":
            return _action(record.request.action)
        case "record":
            return _json.encode(record).decode()
        case _:
            return getattr(record, name)


def _action(name: str) -> str:
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST_NAME]


def _matching(query: DecisionQuery) -> Select[Any]:
    statement = select(table.c.record)
    if query.since is not None:
        statement = statement.where(table.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(table.c.at < query.until)
    if query.actions is not None:
        statement = statement.where(table.c.action.in_(sorted(map(_action, query.actions))))
    for name in ("outcome", "subject_id", "client_id", "rule"):
        wanted = getattr(query, name)
        if wanted is not None:
            statement = statement.where(table.c[name] == wanted)
    return statement


def _name(day: date) -> str:
    return f"decision_{day.strftime(_DAY)}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
