"""Keys as they lie at rest; what seals and unseals them is a use case's business."""

from collections.abc import Sequence

from sqlalchemy import select
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
    async def all(self) -> Sequence[SealedKey]:
        statement = (
            select(
                table.c.id,
                table.c.use,
                table.c.algorithm,
                table.c.state,
                table.c.public_jwk,
                table.c.sealed,
                table.c.created_at,
            )
            .where(table.c.state != KeyState.GONE)
            .order_by(table.c.created_at, table.c.id)
        )
        return [
            SealedKey(
                id=KeyId(row.id),
                use=KeyUse(row.use),
                algorithm=row.algorithm,
                state=KeyState(row.state),
                public_jwk=row.public_jwk,
                sealed_private_key=row.sealed,
                created_at=row.created_at,
            )
            for row in await self._transaction.rows(statement)
        ]

    @override
    async def add(self, key: SealedKey) -> bool:
        # The unique index on the active key of each use decides who was first.
        statement = insert(table).on_conflict_do_nothing()
        added = await self._transaction.change(
            statement.values(
                id=key.id,
                use=key.use,
                algorithm=key.algorithm,
                state=key.state,
                public_jwk=key.public_jwk,
                sealed=key.sealed_private_key,
                created_at=key.created_at,
            )
        )
        return added == 1
