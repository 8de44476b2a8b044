"""The ledger: of each code, refresh token and once-only token the row that came first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, Row, Table, column, func, literal, literal_column, select
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import JSONB, insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import consumption, redemption, refresh_use
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AttemptId, ChallengeId, ClientId, SubjectId, TokenId
from stepup.ports import CodeRedeemed, LedgerRow, LedgerStore, RefreshUsed, TokenConsumed


class _Kind(NamedTuple):
    """A table, the column that names what is spent, and the one that says when it was."""

    table: Table
    name: Column[str]
    at: Column[datetime]


_KINDS: Mapping[type[LedgerRow], _Kind] = {
    CodeRedeemed: _Kind(redemption, redemption.c.challenge, redemption.c.redeemed_at),
    RefreshUsed: _Kind(refresh_use, refresh_use.c.name, refresh_use.c.used_at),
    TokenConsumed: _Kind(consumption, consumption.c.jti, consumption.c.consumed_at),
}


class PostgresLedgerStore(LedgerStore):
    """Rows that are only added, and removed when nothing can be spent with them any more."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def record_all(self, rows: Sequence[LedgerRow]) -> Sequence[LedgerRow]:
        standing: dict[tuple[type[LedgerRow], str], LedgerRow] = {}
        for kind in _KINDS:
            first: dict[str, LedgerRow] = {}
            for row in rows:
                if type(row) is kind:
                    first.setdefault(row.name, row)
            if first:
                found = await self._record(kind, first)
                standing |= {(kind, name): row for name, row in found.items()}
        return [standing[type(row), row.name] for row in rows]

    @override
    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        found = await self._find(TokenConsumed, [token_id])
        row = found.get(token_id)
        return row if isinstance(row, TokenConsumed) else None

    @override
    async def forget(self, before: datetime, count: int) -> int:
        forgotten = 0
        for table, _, at in _KINDS.values():
            place: Column[Any] = literal_column(f"{table.name}.ctid")  # type: ignore[assignment]
            # Whoever else is at it takes other rows.
            old = select(place).where(at < before).limit(count).with_for_update(skip_locked=True)
            forgotten += await self._transaction.change(delete_from(table).where(place.in_(old)))
        return forgotten

    async def _record(
        self, kind: type[LedgerRow], rows: Mapping[str, LedgerRow]
    ) -> Mapping[str, LedgerRow]:
        written = {row[0] for row in await self._transaction.rows(_insert(kind, rows))}
        known = rows.keys() - written
        if not known:
            return rows
        # In a statement of its own: it must see what was committed while the first one waited.
        earlier = await self._find(kind, known)
        if earlier.keys() != known:
            raise DependencyUnavailableError("a row of the ledger is there and cannot be read")
        return {**rows, **earlier}

    async def _find(self, kind: type[LedgerRow], names: Iterable[str]) -> dict[str, LedgerRow]:
        table, name, _ = _KINDS[kind]
        statement = select(*table.c).where(name.in_(list(names)))
        found = [_read(kind, row) for row in await self._transaction.rows(statement)]
        return {row.name: row for row in found}


def _insert(kind: type[LedgerRow], rows: Mapping[str, LedgerRow]) -> Any:
    table, name, _ = _KINDS[kind]
    # A batch travels as one JSON value: one statement for every size, and one parameter.
    batch = func.jsonb_to_recordset(literal([_columns(row) for row in rows.values()], JSONB))
    columns = [column(each.name, each.type) for each in table.c]
    given = batch.table_valued(*columns).render_derived(name="given", with_types=True)
    # In order: two who wrote the same rows in another one would wait for each other.
    chosen = select(*(given.c[each.name] for each in table.c)).order_by(given.c[name.name])
    names = [each.name for each in table.c]
    return insert(table).from_select(names, chosen).on_conflict_do_nothing().returning(name)


def _columns(row: LedgerRow) -> dict[str, object]:
    common = {
        "challenge": row.challenge_id,
        "attempt": row.attempt,
        "jti": row.token_id,
        "client": row.client_id,
    }
    match row:
        case CodeRedeemed():
            return {**common, "subject": row.subject_id, "redeemed_at": row.redeemed_at}
        case RefreshUsed():
            spent = {"name": row.name, "number": row.count}
            return {**common, **spent, "subject": row.subject_id, "used_at": row.used_at}
        case TokenConsumed():
            return {**common, "consumed_at": row.consumed_at}


def _read(kind: type[LedgerRow], row: Row[Any]) -> LedgerRow:
    common: dict[str, Any] = {
        "challenge_id": ChallengeId(row.challenge),
        "attempt": AttemptId(row.attempt),
        "token_id": TokenId(row.jti),
        "client_id": ClientId(row.client),
    }
    if kind is CodeRedeemed:
        return CodeRedeemed(
            **common, subject_id=SubjectId(row.subject), redeemed_at=row.redeemed_at
        )
    if kind is RefreshUsed:
        return RefreshUsed(
            **common, count=row.number, subject_id=SubjectId(row.subject), used_at=row.used_at
        )
    return TokenConsumed(**common, consumed_at=row.consumed_at)
