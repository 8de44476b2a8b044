"""The line to the server: transactions whose every wait is bounded, and what counts as its loss.

Everything that is the server's or the network's fault leaves here as `DependencyUnavailableError`;
a store above never sees a driver's error for a server that is away.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Executable, Row, Select, func
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stepup.adapters.postgres.bounded import BoundedCalls, Work
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.domain.errors import DependencyUnavailableError

T = TypeVar("T")

AWAY = "The database does not answer; try again shortly."
# The server's own limit is 0.8 s (`engine.py`): past this one it is not slow but silent.
_PATIENCE = 0.95
# What a step-up can spare when there is another way; past it the caller takes that one.
HURRY = 0.15
# A connection attempt goes on behind the request's back: two seconds for each of three hosts, so
# that the host after a silent one is reached at all.
_CONNECT_GRACE = 6.0
# Without it an INSERT does not say that it found its row there already.
_COUNTED = {"preserve_rowcount": True}
_READ_ONLY = func.current_setting("transaction_read_only").label("read_only")
_LOST = (InterfaceError, OperationalError, PendingRollbackError, PoolTimeoutError, OSError)


class Transaction:
    """The statements of one transaction; after the first one that is lost, none is tried."""

    def __init__(self, line: "Line", engine: AsyncEngine, connection: AsyncConnection) -> None:
        self.engine = engine
        self.connection = connection
        self.lost = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._line = line

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement and return its rows."""

        async def work() -> Sequence[Row[Any]]:
            return (await self.connection.execute(statement)).all()

        return await self.run(work)

    async def change(self, statement: Executable) -> int:
        """Run a statement and return how many rows it changed."""

        async def work() -> int:
            result = await self.connection.execute(statement, execution_options=_COUNTED)
            return result.rowcount

        return await self.run(work)

    async def run(self, work: Callable[[], Work[T]]) -> T:
        """Do something with the connection, for as long as a request can wait."""
        if self.lost:
            raise DependencyUnavailableError(AWAY)
        # Lost until it has come back: a cancelled request leaves its call behind, too.
        self.lost = True
        try:
            result = await self._line.bounded(self._alone(work), self.engine)
        except SQLAlchemyError:
            # The server answered, and the answer was no: the connection is as good as before.
            self.lost = False
            raise
        self.lost = False
        return result

    async def _alone(self, work: Callable[[], Work[T]]) -> T:
        self.idle.clear()
        try:
            return await work()
        finally:
            self.idle.set()


class Line:
    """The pool, the breaker, and the calls left behind."""

    def __init__(
        self,
        make_engine: Callable[[], AsyncEngine],
        breaker: CircuitBreaker,
        patience: float = _PATIENCE,
        hurry: CircuitBreaker | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._patience = patience
        self._engine = make_engine()
        self._breaker = breaker
        # A server that is too slow for some may be quick enough for others.
        self._hurry = hurry or breaker
        self._calls = BoundedCalls()

    @property
    def is_given_up(self) -> bool:
        """Say whether the server was silent so often that only probes are let through."""
        return self._breaker.is_open

    @asynccontextmanager
    async def transaction(self, *, autocommit: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        With `autocommit` it is none for the server: each statement stands for itself, which saves
        two round trips.
        """
        if not self._breaker.admit():
            raise DependencyUnavailableError(AWAY)
        engine = self._engine
        connection = await self.bounded(
            _connect(engine, autocommit=autocommit),
            engine,
            grace=_CONNECT_GRACE,
            # Nobody waits for it any more, but the next one need not wait: it goes to the pool.
            discard=lambda late: self._give_back(late, engine),
        )
        transaction = Transaction(self, engine, connection)
        try:
            yield transaction
            await transaction.run(connection.commit)
        except BaseException:
            # Nobody waits for it: a rollback can be as silent as the statement before it.
            self._calls.spawn(self._release(transaction))
            raise
        # At once, and without a word to the server: the next request finds it in the pool.
        await self._give_back(connection, engine)

    async def hurried(self, work: Callable[[], Work[T]]) -> T:
        """Wait for a whole read for as long as a step-up can, who never pays for a probe.

        What is left behind ends by its own bounds.

        Raises:
            DependencyUnavailableError: If it takes longer, or did so three times in a row.
        """
        if self._breaker.is_open or self._hurry.is_open:
            raise DependencyUnavailableError(AWAY)
        try:
            result = await self._calls.call(work(), HURRY, grace=_CONNECT_GRACE)
        except TimeoutError as error:
            self._hurry.timed_out()
            raise DependencyUnavailableError(AWAY) from error
        self._hurry.answered()
        return result

    async def probe(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """Ask something small, without hurry; an answer in time is one for those in a hurry too.

        Raises:
            DependencyUnavailableError: If the server is away, or is not the primary any more.
        """
        began = asyncio.get_running_loop().time()
        async with self.transaction(autocommit=True) as transaction:
            rows = await transaction.rows(statement.add_columns(_READ_ONLY))
        if rows and rows[0].read_only == "on":
            # A primary that was deposed and lives goes on answering with what it had. Whoever
            # writes hears of it by 25006; an instance that only asks would never.
            self._start_anew()
            raise DependencyUnavailableError(AWAY)
        if asyncio.get_running_loop().time() - began < HURRY:
            self._hurry.answered()
        return rows

    async def bounded(
        self,
        work: Work[T],
        engine: AsyncEngine,
        *,
        grace: float = 0.0,
        discard: Callable[[T], Work[None]] | None = None,
    ) -> T:
        """Wait for `work` as long as a request can.

        Raises:
            DependencyUnavailableError: If the server is away, silent, or not the primary.
        """
        try:
            result = await self._calls.call(work, self._patience, grace=grace, discard=discard)
        except TimeoutError as error:
            self._timed_out(engine)
            raise DependencyUnavailableError(AWAY) from error
        except (SQLAlchemyError, OSError) as error:
            if _is_loss(error):
                raise DependencyUnavailableError(AWAY) from error
            raise
        self._breaker.answered()
        return result

    async def close(self) -> None:
        """Close every connection and end what was left behind."""
        await self._calls.close()
        await self._engine.dispose()

    def _timed_out(self, engine: AsyncEngine) -> None:
        if self._breaker.timed_out() and engine is self._engine:
            # Calls left behind hold their places in the pool, on a frozen host for a long time:
            # the probes start with an empty one. They leave fewer behind than it has places.
            self._start_anew()

    def _start_anew(self) -> None:
        left, self._engine = self._engine, self._make_engine()
        self._calls.spawn(left.dispose())

    async def _release(self, transaction: Transaction) -> None:
        # The driver must not lose its socket under a call that still waits on it.
        await transaction.idle.wait()
        if transaction.lost:
            await _drop(transaction.connection)
        else:
            await self._give_back(transaction.connection, transaction.engine)

    async def _give_back(self, connection: AsyncConnection, engine: AsyncEngine) -> None:
        if engine is self._engine:
            await self._calls.call(connection.close(), _PATIENCE)
        else:
            await _drop(connection)


async def _connect(engine: AsyncEngine, *, autocommit: bool) -> AsyncConnection:
    connection = await engine.connect()
    if autocommit:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
    return connection


async def _drop(connection: AsyncConnection) -> None:
    try:
        await connection.invalidate()
    finally:
        await connection.close()


def _is_loss(error: Exception) -> bool:
    return isinstance(error, _LOST) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
