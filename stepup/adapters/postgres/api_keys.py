"""Keys of pipelines, by their identifiers; their secrets are not here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.administrators import known_scopes
from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import api_key as table
from stepup.domain.admin_errors import ApiKeyExistsError
from stepup.domain.administrator import SCOPES_OF_KEYS, ApiKey
from stepup.domain.ids import ApiKeyId
from stepup.ports import ApiKeyStore


class PostgresApiKeyStore(ApiKeyStore):
    """Rows that are never deleted."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def all(self) -> Sequence[ApiKey]:
        statement = select(table).order_by(table.c.created_at, table.c.id)
        return [_key(row) for row in await self._transaction.rows(statement)]

    @override
    async def find(self, key_id: ApiKeyId) -> ApiKey | None:
        rows = await self._transaction.rows(select(table).where(table.c.id == key_id))
        return _key(rows[0]) if rows else None

    @override
    async def add(self, key: ApiKey) -> None:
        statement = insert(table).values(
            id=key.id,
            name=key.name,
            digest=key.digest,
            scopes=sorted(key.scopes),
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
        # The unique index on names decides who of two was first.
        if await self._transaction.change(statement.on_conflict_do_nothing()) != 1:
            raise ApiKeyExistsError

    @override
    async def revoke(self, key_id: ApiKeyId, at: datetime) -> bool:
        statement = update(table).where(table.c.id == key_id, table.c.revoked_at.is_(None))
        return await self._transaction.change(statement.values(revoked_at=at)) == 1

    @override
    async def note_use(self, key_id: ApiKeyId, at: datetime) -> None:
        last = func.greatest(table.c.last_used_at, at)
        await self._transaction.change(
            update(table).where(table.c.id == key_id).values(last_used_at=last)
        )


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=ApiKeyId(row.id),
        name=row.name,
        digest=row.digest,
        # Whoever writes to the table by hand makes no key that approves either.
        scopes=known_scopes(row.scopes) & SCOPES_OF_KEYS,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
