"""PostgreSQL as the port that use cases see: transactions over its stores, and the ledger."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import literal, select
from typing_extensions import override

from stepup.adapters.postgres.administrators import PostgresAdministratorStore
from stepup.adapters.postgres.api_keys import PostgresApiKeyStore
from stepup.adapters.postgres.audit import PostgresAuditStore
from stepup.adapters.postgres.authenticators import PostgresAuthenticatorStore
from stepup.adapters.postgres.bounded import BoundedCalls
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.chain_keys import ChainKeys
from stepup.adapters.postgres.clients import PostgresClientStore
from stepup.adapters.postgres.decisions import PostgresDecisionStore
from stepup.adapters.postgres.drafts import PostgresDraftStore
from stepup.adapters.postgres.engine import make_engine
from stepup.adapters.postgres.generations import PostgresGenerationRecord
from stepup.adapters.postgres.group_commit import PATIENCE, GroupCommittedLedger
from stepup.adapters.postgres.keys import PostgresKeyStore
from stepup.adapters.postgres.leases import PostgresLeaseStore
from stepup.adapters.postgres.ledger import PostgresLedgerStore
from stepup.adapters.postgres.line import Line, Transaction
from stepup.adapters.postgres.policies import PostgresPolicyStore
from stepup.adapters.postgres.revocations import PostgresRevocationStore
from stepup.adapters.postgres.signal_queue import PostgresSignalQueue
from stepup.adapters.postgres.signal_source import PostgresSignalSource
from stepup.adapters.postgres.standbys import Standbys, find_standbys
from stepup.adapters.postgres.streams import PostgresStreamStore
from stepup.adapters.postgres.tables import configuration_change
from stepup.crypto.sealing import Sealer
from stepup.domain.authenticator import Authenticator
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import Subject
from stepup.domain.revocation import Revocation
from stepup.ports import Database, GenerationRecord, Ledger, Stores

# What a request that spends can wait for a row that may be written behind it (RELIABILITY section
# 2.2); the row may still come when it has walked away.
_WAIT_OF_A_SPEND = 0.15
_LATE_SPEND = 2.0


class PostgresDatabase(Database):
    """A pool of connections to one database.

    No call waits much longer than a second, whatever the server does; `close` it in the event
    loop that used it.
    """

    def __init__(self, url: str, sealer: Sealer) -> None:
        self._line = Line(
            lambda: make_engine(url),
            CircuitBreaker(time.monotonic),
            hurry=CircuitBreaker(time.monotonic),
        )
        # Connections and a breaker of its own: nobody else's patience is as short.
        self._ledger = GroupCommittedLedger(
            Line(lambda: make_engine(url), CircuitBreaker(time.monotonic), PATIENCE)
        )
        self._brief = BoundedCalls()
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
    async def configuration_version(self) -> int:
        rows = await self._line.probe(select(configuration_change.c.version))
        return int(rows[0].version)

    @override
    async def authenticators_of(self, subject: Subject) -> Sequence[Authenticator]:
        async def read() -> Sequence[Authenticator]:
            async with self._line.transaction(autocommit=True) as transaction:
                store = PostgresAuthenticatorStore(transaction, self._sealer)
                return await store.of_subject(subject)

        return await self._line.hurried(read)

    @override
    async def keep_revocation(self, revocation: Revocation) -> None:
        async def keep() -> None:
            async with self._line.transaction() as transaction:
                await PostgresRevocationStore(transaction).add([revocation])

        try:
            await self._brief.call(keep(), _WAIT_OF_A_SPEND, grace=_LATE_SPEND)
        except TimeoutError as error:
            raise DependencyUnavailableError from error

    @override
    async def check(self) -> None:
        await self._line.probe(select(literal(1)))

    async def standbys(self) -> Standbys:
        """Say whom commits wait for, and who acknowledges.

        Raises:
            DependencyUnavailableError: If the primary does not answer.
        """
        return await find_standbys(self._line)

    def generations_of(self, region: str) -> GenerationRecord:
        """Return the record of the generations that a region's state has had."""
        return PostgresGenerationRecord(self._line, region)

    async def close(self) -> None:
        """Close every connection."""
        await self._ledger.close()
        await self._brief.close()
        await self._line.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Stores]:
        async with self._line.transaction() as transaction:
            yield self._stores(transaction)

    def _stores(self, transaction: Transaction) -> Stores:
        return Stores(
            policies=PostgresPolicyStore(transaction),
            drafts=PostgresDraftStore(transaction),
            clients=PostgresClientStore(transaction),
            authenticators=PostgresAuthenticatorStore(transaction, self._sealer),
            keys=PostgresKeyStore(transaction),
            audit=PostgresAuditStore(transaction, self._chain_keys),
            leases=PostgresLeaseStore(transaction),
            ledger=PostgresLedgerStore(transaction),
            revocations=PostgresRevocationStore(transaction),
            decisions=PostgresDecisionStore(transaction),
            administrators=PostgresAdministratorStore(transaction),
            api_keys=PostgresApiKeyStore(transaction),
            streams=PostgresStreamStore(transaction),
            signals=PostgresSignalQueue(transaction),
            signal_source=PostgresSignalSource(transaction),
        )
