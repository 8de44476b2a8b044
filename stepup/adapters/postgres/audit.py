"""The audit log: rows that are only ever added, each once, each chained to the one before it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    Row,
    Select,
    Text,
    column,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from typing_extensions import override

from stepup.adapters.postgres.chain_keys import ChainKeys
from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import audit_event as table
from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import START, ChainHead
from stepup.domain.audit import AuditEvent, AuditRecord, ChainLink
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import AuditStore

# Any constant that is ours alone; the other locks have others. Held until the transaction ends:
# two who appended at once would both chain themselves to the same entry.
_CHAIN_LOCK = 7_305_402
_EVENT = (
    table.c.entry_id,
    table.c.kind,
    table.c.at,
    table.c.client_id,
    table.c.subject_id,
    table.c.action,
    table.c.challenge_id,
    table.c.details,
)
_EARLIEST = literal(datetime(1, 1, 2, tzinfo=UTC), table.c.at.type)
_LATEST = literal(datetime(9999, 12, 30, tzinfo=UTC), table.c.at.type)
_LINK = (table.c.position, table.c.previous, table.c.hash)
# JSON has no bytes, so they travel in hexadecimal.
_LINK_ROW = (column("position", BigInteger), column("previous", Text), column("hash", Text))


class PostgresAuditStore(AuditStore):
    """Events by the entry they came from."""

    def __init__(self, transaction: Transaction, chain_keys: ChainKeys) -> None:
        self._transaction = transaction
        self._chain_keys = chain_keys

    @override
    async def append(self, entry_id: str, event: AuditEvent) -> None:
        await self.append_all([(entry_id, event)])

    @override
    async def append_all(self, entries: Sequence[tuple[str, AuditEvent]]) -> None:
        key, head = await self._end_of_chain()
        fresh = await self._fresh(entries)
        if not fresh:
            return
        links = audit_chain.links(key, head, fresh.items())
        rows = [
            _row(entry_id, event, link)
            for (entry_id, event), link in zip(fresh.items(), links, strict=True)
        ]
        added = await self._transaction.change(_insert(rows))
        if added != len(rows):
            # A release that knows no chain wrote one of them meanwhile: without it the links are
            # wrong. Rolled back, and right the next time.
            raise DependencyUnavailableError("the audit log was written by another release")

    @override
    async def adopt(self, count: int) -> int:
        key, head = await self._end_of_chain()
        records = await self.unchained(count)
        entries = [(record.entry_id, record) for record in records]
        links = audit_chain.links(key, head, entries)
        if links:
            rows = [
                {"seq": record.seq, **_link_row(link)}
                for record, link in zip(records, links, strict=True)
            ]
            await self._transaction.change(_update(rows))
        return len(links)

    @override
    async def chained(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        return await self._records(
            _select().where(table.c.position > after).order_by(table.c.position).limit(count)
        )

    @override
    async def last_chained(self) -> AuditRecord | None:
        newest = (
            _select()
            .where(table.c.position.is_not(None))
            .order_by(table.c.position.desc())
            .limit(1)
        )
        records = await self._records(newest)
        return records[0] if records else None

    @override
    async def written(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        return await self._records(
            _select().where(table.c.seq > after).order_by(table.c.seq).limit(count)
        )

    @override
    async def unchained(self, count: int) -> Sequence[AuditRecord]:
        return await self._records(
            _select().where(table.c.position.is_(None)).order_by(table.c.seq).limit(count)
        )

    @override
    async def count_unchained(self) -> int:
        statement = select(func.count().label("unchained")).where(table.c.position.is_(None))
        [row] = await self._transaction.rows(statement)
        return int(row.unchained)

    async def _end_of_chain(self) -> tuple[bytes, ChainHead]:
        # In a statement of its own: the next one must see what was committed while this waited.
        await self._transaction.rows(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
        last = await self.last_chained()
        key = await self._chain_keys.get(self._transaction)
        if last is None or last.link is None:
            return key, START
        return key, ChainHead(last.link.position, last.link.hash)

    async def _fresh(self, entries: Sequence[tuple[str, AuditEvent]]) -> dict[str, AuditEvent]:
        asked = {entry_id for entry_id, _ in entries}
        statement = select(table.c.entry_id).where(table.c.entry_id.in_(asked))
        known = {row.entry_id for row in await self._transaction.rows(statement)}
        fresh: dict[str, AuditEvent] = {}
        for entry_id, event in entries:
            if entry_id not in known:
                fresh.setdefault(entry_id, event)
        return fresh

    async def _records(self, statement: Select[Any]) -> Sequence[AuditRecord]:
        return [_record(row) for row in await self._transaction.rows(statement)]


def _select() -> Select[Any]:
    # A time that Python has no value for must not hide its entry from the proof.
    at = func.least(func.greatest(table.c.at, _EARLIEST), _LATEST).label("at")
    return select(table.c.seq, *(at if c is table.c.at else c for c in _EVENT), *_LINK)


def _row(entry_id: str, event: AuditEvent, link: ChainLink) -> dict[str, object]:
    return {
        "entry_id": entry_id,
        "kind": event.kind,
        "at": event.at,
        "client_id": event.client_id,
        "subject_id": event.subject_id,
        "action": event.action,
        "challenge_id": event.challenge_id,
        "details": event.details,
        **_link_row(link),
    }


def _link_row(link: ChainLink) -> dict[str, object]:
    return {
        "position": link.position,
        "previous": link.previous.hex(),
        "hash": link.hash.hex(),
    }


def _update(rows: list[dict[str, object]]) -> Any:
    given = _given(rows, column("seq", BigInteger), *_LINK_ROW)
    return (
        update(table)
        .where(table.c.seq == given.c.seq)
        .values(
            position=given.c.position,
            previous=func.decode(given.c.previous, "hex"),
            hash=func.decode(given.c.hash, "hex"),
        )
    )


def _insert(rows: list[dict[str, object]]) -> Any:
    given = _given(rows, *(column(each.name, each.type) for each in _EVENT), *_LINK_ROW)
    chosen = select(
        *(given.c[each.name] for each in _EVENT),
        given.c.position,
        func.decode(given.c.previous, "hex"),
        func.decode(given.c.hash, "hex"),
    ).order_by(given.c.position)
    names = [each.name for each in (*_EVENT, *_LINK)]
    statement = insert(table).from_select(names, chosen)
    return statement.on_conflict_do_nothing(index_elements=[table.c.entry_id])


def _given(rows: list[dict[str, object]], *columns: ColumnClause[Any]) -> Any:
    # A batch travels as one JSON value: one statement for every size, and one parameter.
    batch = func.jsonb_to_recordset(literal(rows, JSONB))
    return batch.table_valued(*columns).render_derived(name="given", with_types=True)


def _record(row: Row[Any]) -> AuditRecord:
    link = None
    if row.position is not None:
        link = ChainLink(position=row.position, previous=row.previous, hash=row.hash)
    return AuditRecord(
        seq=row.seq,
        entry_id=row.entry_id,
        kind=row.kind,
        at=row.at,
        client_id=row.client_id,
        subject_id=row.subject_id,
        action=row.action,
        challenge_id=row.challenge_id,
        details=row.details,
        link=link,
    )
