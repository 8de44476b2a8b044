"""Keys as they lie at rest; what seals and unseals them is a use case's business."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import key as table
from stepup.domain.ids import KeyId
from stepup.domain.keyring import KeyState, KeyUse, SealedKey
from stepup.ports import KeyStore


class PostgresKeyStore(KeyStore):
    """Keys by their identifier, oldest first."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def now(self) -> datetime:
        # Of the statement, not of the transaction, which may have waited for its turn.
        statement = select(func.statement_timestamp().label("now"))
        [row] = await self._transaction.rows(statement)
        now: datetime = row.now
        return now

    @override
    async def all(self) -> Sequence[SealedKey]:
        return await self._where(table.c.state != KeyState.GONE)

    @override
    async def gone(self) -> Sequence[SealedKey]:
        return await self._where(table.c.state == KeyState.GONE)

    @override
    async def add(self, key: SealedKey) -> bool:
        # The unique index on the active key of each use decides who was first.
        statement = insert(table).on_conflict_do_nothing()
        added = await self._transaction.change(statement.values(id=key.id, **_values(key)))
        return added == 1

    @override
    async def replace(self, key: SealedKey, *, expected: SealedKey) -> bool:
        unchanged = (
            table.c[name].is_not_distinct_from(value)
            for name, value in _values(expected).items()
            # JSON has no order, and a public key is what its name says.
            if name != "public_jwk"
        )
        statement = update(table).where(table.c.id == expected.id, *unchanged).values(_values(key))
        return await self._transaction.change(statement) == 1

    async def _where(self, condition: ColumnElement[bool]) -> Sequence[SealedKey]:
        statement = select(table).where(condition).order_by(table.c.created_at, table.c.id)
        return [_key(row) for row in await self._transaction.rows(statement)]


def _values(key: SealedKey) -> dict[str, Any]:
    return {
        "use": key.use,
        "algorithm": key.algorithm,
        "state": key.state,
        "public_jwk": key.public_jwk,
        "sealed": key.sealed_private_key,
        "created_at": key.created_at,
        "since": key.since,
        "wanted_at": key.wanted_at,
        "condemned_at": key.condemned_at,
        "revoked_at": key.revoked_at,
    }


def _key(row: Row[Any]) -> SealedKey:
    return SealedKey(
        id=KeyId(row.id),
        use=KeyUse(row.use),
        algorithm=row.algorithm,
        state=KeyState(row.state),
        public_jwk=row.public_jwk,
        sealed_private_key=row.sealed,
        created_at=row.created_at,
        since=row.since,
        wanted_at=row.wanted_at,
        condemned_at=row.condemned_at,
        revoked_at=row.revoked_at,
    )
