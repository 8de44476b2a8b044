"""The ledger as requests reach it: rows that come together leave together, quickly or not at all.

One insert is under way at a time; the rows that arrive meanwhile are the next one. So a busy
worker pays for one commit per round trip of the server and not per request, and a quiet one waits
for nobody.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from typing_extensions import override

from stepup.adapters.postgres.ledger import PostgresLedgerStore
from stepup.adapters.postgres.line import Line
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import TokenId
from stepup.ports import Ledger, LedgerRow, TokenConsumed

# What a person who redeems does not notice (RELIABILITY section 2.2), for the request and for
# each answer of the server: three silent ones open the breaker.
PATIENCE = 0.15
MOST_PER_INSERT = 256

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Waiting(NamedTuple):
    row: LedgerRow
    standing: asyncio.Future[LedgerRow]


class GroupCommittedLedger(Ledger):
    """Rows in batches over a line of its own, whose breaker says when it is not worth waiting."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._next: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None

    @override
    async def record(self, row: LedgerRow) -> LedgerRow:
        self._refuse_while_given_up()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, loop.create_future())
        self._next.append(waiting)
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        try:
            async with asyncio.timeout(PATIENCE):
                return await waiting.standing
        except TimeoutError as error:
            raise DependencyUnavailableError("the ledger did not answer in time") from error

    @override
    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        self._refuse_while_given_up()
        async with self._line.transaction(autocommit=True) as transaction:
            return await PostgresLedgerStore(transaction).find_consumption(token_id)

    async def close(self) -> None:
        """Let the insert that is under way end, and close the connections."""
        for task in (self._writer, self._probe):
            if task is not None:
                await asyncio.wait([task])
        await self._line.close()

    def _refuse_while_given_up(self) -> None:
        if not self._line.is_given_up:
            return
        # Whether it is back is found out by nobody's request.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.get_running_loop().create_task(self._ask())
        raise DependencyUnavailableError("the ledger is given up for the moment")

    async def _ask(self) -> None:
        with suppress(DependencyUnavailableError):
            async with self._line.transaction(autocommit=True) as transaction:
                await PostgresLedgerStore(transaction).find_consumption(TokenId(""))

    async def _write(self) -> None:
        while self._next:
            batch, self._next = self._next[:MOST_PER_INSERT], self._next[MOST_PER_INSERT:]
            # Who has left puts something else in the row's place.
            wanted = [waiting for waiting in batch if not waiting.standing.done()]
            if wanted:
                await self._settle(wanted)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        try:
            async with self._line.transaction(autocommit=True) as transaction:
                store = PostgresLedgerStore(transaction)
                found = await store.record_all([waiting.row for waiting in batch])
        except Exception as error:  # noqa: BLE001  whatever it was: nobody is left waiting
            if not isinstance(error, DependencyUnavailableError):
                _log.error("ledger_failed", exc_info=error)
            for waiting in batch:
                if not waiting.standing.done():
                    waiting.standing.set_exception(DependencyUnavailableError())
            return
        for waiting, standing in zip(batch, found, strict=True):
            if not waiting.standing.done():
                waiting.standing.set_result(standing)
