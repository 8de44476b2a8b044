"""PostgreSQL as the port that use cases see: transactions over seven stores, and the ledger."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import literal, select
from typing_extensions import override

from stepup.adapters.postgres.audit import PostgresAuditStore
from stepup.adapters.postgres.authenticators import PostgresAuthenticatorStore
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.chain_keys import ChainKeys
from stepup.adapters.postgres.clients import PostgresClientStore
from stepup.adapters.postgres.engine import make_engine
from stepup.adapters.postgres.group_commit import PATIENCE, GroupCommittedLedger
from stepup.adapters.postgres.keys import PostgresKeyStore
from stepup.adapters.postgres.leases import PostgresLeaseStore
from stepup.adapters.postgres.ledger import PostgresLedgerStore
from stepup.adapters.postgres.line import Line, Transaction
from stepup.adapters.postgres.policies import PostgresPolicyStore
from stepup.adapters.postgres.tables import configuration_change
from stepup.crypto.sealing import Sealer
from stepup.ports import Database, Ledger, Stores


class PostgresDatabase(Database):
    """A pool of connections to one database.

    No call waits much longer than a second, whatever the server does; `close` it in the event
    loop that used it.
    """

    def __init__(self, url: str, sealer: Sealer) -> None:
        self._line = Line(lambda: make_engine(url), CircuitBreaker(time.monotonic))
        # Connections and a breaker of its own: nobody else's patience is as short.
        self._ledger = GroupCommittedLedger(
            Line(lambda: make_engine(url), CircuitBreaker(time.monotonic), PATIENCE)
        )
        self._sealer = sealer
        self._chain_keys = ChainKeys(sealer)

    @property
    @override
    def ledger(self) -> Ledger:
        return self._ledger

    @override
    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        return self._transaction()

    @override
    async def configuration_version(self) -> str:
        async with self._line.transaction(autocommit=True) as transaction:
            rows = await transaction.rows(select(configuration_change.c.version))
        return str(rows[0].version)

    @override
    async def check(self) -> None:
        async with self._line.transaction(autocommit=True) as transaction:
            await transaction.rows(select(literal(1)))

    async def close(self) -> None:
        """Close every connection."""
        await self._ledger.close()
        await self._line.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Stores]:
        async with self._line.transaction() as transaction:
            yield self._stores(transaction)

    def _stores(self, transaction: Transaction) -> Stores:
        return Stores(
            policies=PostgresPolicyStore(transaction),
            clients=PostgresClientStore(transaction),
            authenticators=PostgresAuthenticatorStore(transaction, self._sealer),
            keys=PostgresKeyStore(transaction),
            audit=PostgresAuditStore(transaction, self._chain_keys),
            leases=PostgresLeaseStore(transaction),
            ledger=PostgresLedgerStore(transaction),
        )
