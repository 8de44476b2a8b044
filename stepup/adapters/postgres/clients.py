"""Clients, each kept whole as a document: nothing asks for a part of one."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import client as table
from stepup.domain.client import Client
from stepup.ports import ClientStore


class PostgresClientStore(ClientStore):
    """Clients by their identifier."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def all(self) -> Sequence[Client]:
        rows = await self._transaction.rows(select(table.c.data).order_by(table.c.client_id))
        return [msgspec.convert(row.data, Client) for row in rows]

    @override
    async def put(self, client: Client) -> None:
        data = msgspec.to_builtins(client)
        statement = insert(table).values(client_id=client.client_id, data=data)
        await self._transaction.change(
            statement.on_conflict_do_update(
                index_elements=[table.c.client_id],
                set_={"data": statement.excluded.data, "updated_at": func.now()},
            )
        )
