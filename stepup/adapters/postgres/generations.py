"""Which generations of the state there were, by region: outside of what may forget itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError
from typing_extensions import override

from stepup.adapters.postgres.line import Line, Transaction
from stepup.adapters.postgres.tables import generation as table
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.generation import Generation
from stepup.domain.ids import GenerationId
from stepup.ports import GenerationRecord


class PostgresGenerationRecord(GenerationRecord):
    """One row for each generation; there are few."""

    def __init__(self, line: Line, region: str) -> None:
        self._line = line
        self._region = region

    @override
    async def last(self) -> GenerationId | None:
        statement = (
            select(table.c.id)
            .where(table.c.region == self._region)
            .order_by(table.c.begun_at.desc(), table.c.id)
            .limit(1)
        )
        async with self._transaction() as transaction:
            rows = await transaction.rows(statement)
        return GenerationId(rows[0].id) if rows else None

    @override
    async def add(self, generation: Generation) -> None:
        statement = insert(table).values(
            region=self._region, id=generation.id, begun_at=generation.begun_at
        )
        async with self._transaction() as transaction:
            await transaction.change(statement.on_conflict_do_nothing())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        try:
            async with self._line.transaction(autocommit=True) as transaction:
                yield transaction
        except ProgrammingError as error:
            # A schema older than the table: nobody can say what there was.
            raise DependencyUnavailableError from error
