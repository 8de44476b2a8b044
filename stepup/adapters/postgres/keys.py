"""Keys as they lie at rest; what seals and unseals them is a use case's business.

They lie in two tables (`tables.py`): the release before knows the first only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    Table,
    case,
    func,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import key as first_ring
from stepup.adapters.postgres.tables import signing_key as other_rings
from stepup.domain.ids import KeyId
from stepup.domain.keyring import KeyState, KeyUse, SealedKey
from stepup.ports import KeyStore

_NAMES = tuple(column.name for column in other_rings.c if column.name != "region")
# What a newer release signs with is its own.
_USES = tuple(KeyUse)
# All that the release before makes.
_FIRST = (KeyUse.TOKEN, "ES256")


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
        return await self._where(is_gone=False)

    @override
    async def gone(self) -> Sequence[SealedKey]:
        return await self._where(is_gone=True)

    @override
    async def add(self, key: SealedKey) -> bool:
        table = first_ring if await self._is_of_the_first_ring(key) else other_rings
        # The unique index on the active key of each ring decides who was first.
        statement = insert(table).on_conflict_do_nothing()
        values = {"id": key.id, "region": key.region or None, **_values(key)}
        return await self._transaction.change(statement.values(values)) == 1

    @override
    async def replace(self, key: SealedKey, *, expected: SealedKey) -> bool:
        for table in (first_ring, other_rings):
            unchanged = (
                table.c[name].is_not_distinct_from(value)
                for name, value in _values(expected).items()
                # JSON has no order, and a public key is what its name says.
                if name != "public_jwk"
            )
            statement = update(table).where(table.c.id == expected.id, *unchanged)
            values = {"region": key.region or None, **_values(key)}
            if await self._transaction.change(statement.values(values)) == 1:
                return True
        return False

    async def _is_of_the_first_ring(self, key: SealedKey) -> bool:
        if key.use is KeyUse.ROOT:
            return True
        if (key.use, key.algorithm) != _FIRST:
            return False
        [row] = await self._transaction.rows(select(_adopted_by().label("region")))
        return row.region in {None, key.region}

    async def _where(self, *, is_gone: bool) -> Sequence[SealedKey]:
        region = func.coalesce(first_ring.c.region, _adopted_by(), "")
        is_root = first_ring.c.use == KeyUse.ROOT
        both = union_all(
            _select(first_ring, case((is_root, ""), else_=region), is_gone=is_gone),
            _select(other_rings, other_rings.c.region, is_gone=is_gone),
        )
        statement = both.order_by(literal_column("created_at"), literal_column("id"))
        return [_key(row) for row in await self._transaction.rows(statement)]


def _select(table: Table, region: ColumnElement[str], *, is_gone: bool) -> Select[Any]:
    columns = [table.c[name] for name in _NAMES]
    state = table.c.state == KeyState.GONE if is_gone else table.c.state != KeyState.GONE
    return select(*columns, region.label("region")).where(state, table.c.use.in_(_USES))


def _adopted_by() -> ScalarSelect[Any]:
    return select(func.max(first_ring.c.region)).scalar_subquery()


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
        region=row.region,
        state=KeyState(row.state),
        public_jwk=row.public_jwk,
        sealed_private_key=row.sealed,
        created_at=row.created_at,
        since=row.since,
        wanted_at=row.wanted_at,
        condemned_at=row.condemned_at,
        revoked_at=row.revoked_at,
    )
