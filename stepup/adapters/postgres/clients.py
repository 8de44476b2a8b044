"""Clients, each kept whole as a document: nothing asks for a part of one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, collate, func, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import client as table
from stepup.domain import client_record
from stepup.domain.client import Client
from stepup.domain.ids import ClientId
from stepup.ports import ClientStore

# By bytes: a database's own order may leave out what makes two identifiers differ.
_IN_ORDER = collate(table.c.client_id, "C")


class PostgresClientStore(ClientStore):
    """Clients by their identifier."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def all(self) -> Sequence[Client]:
        rows = await self._transaction.rows(select(table.c.data).order_by(table.c.client_id))
        return [client_record.read(row.data) for row in rows]

    @override
    async def page(self, *, after: str, count: int) -> Sequence[Client]:
        statement = select(table.c.data).where(after < _IN_ORDER).order_by(_IN_ORDER).limit(count)
        rows = await self._transaction.rows(statement)
        return [client_record.read(row.data) for row in rows]

    @override
    async def find(self, client_id: ClientId) -> Client | None:
        return await self._one(select(table.c.data).where(table.c.client_id == client_id))

    @override
    async def hold(self, client_id: ClientId) -> Client | None:
        statement = select(table.c.data).where(table.c.client_id == client_id)
        return await self._one(statement.with_for_update())

    @override
    async def add(self, client: Client) -> bool:
        values = {"client_id": client.client_id, "data": client_record.written(client)}
        statement = insert(table).values(values).on_conflict_do_nothing()
        return await self._transaction.change(statement) == 1

    @override
    async def put(self, client: Client) -> None:
        data = client_record.written(client)
        statement = insert(table).values(client_id=client.client_id, data=data)
        await self._transaction.change(
            statement.on_conflict_do_update(
                index_elements=[table.c.client_id],
                set_={"data": statement.excluded.data, "updated_at": func.now()},
            )
        )

    async def _one(self, statement: Select[Any]) -> Client | None:
        rows = await self._transaction.rows(statement)
        return client_record.read(rows[0].data) if rows else None
