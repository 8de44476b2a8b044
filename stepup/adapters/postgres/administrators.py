"""Who administers, by issuer and sub."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import administrator as table
from stepup.domain.administrator import Appointment, Scope
from stepup.domain.ids import Subject
from stepup.ports import AdministratorStore

_SCOPES = frozenset(Scope)


def known_scopes(written: Sequence[str]) -> frozenset[Scope]:
    """Read scopes; one that a newer release has written gives nothing here."""
    return frozenset(Scope(scope) for scope in written if scope in _SCOPES)


class PostgresAdministratorStore(AdministratorStore):
    """Appointments: a row for each subject."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def all(self) -> Sequence[Appointment]:
        statement = select(table).order_by(table.c.issuer, table.c.sub)
        return [_appointment(row) for row in await self._transaction.rows(statement)]

    @override
    async def find(self, subject: Subject) -> Appointment | None:
        rows = await self._transaction.rows(select(table).where(_is(subject)))
        return _appointment(rows[0]) if rows else None

    @override
    async def put(self, appointment: Appointment) -> None:
        values = {
            "scopes": sorted(appointment.scopes),
            "appointed_by": appointment.by,
            "appointed_at": appointment.at,
        }
        subject = appointment.subject
        statement = insert(table).values(issuer=subject.issuer, sub=subject.sub, **values)
        await self._transaction.change(
            statement.on_conflict_do_update(
                index_elements=[table.c.issuer, table.c.sub], set_=values
            )
        )

    @override
    async def remove(self, subject: Subject) -> bool:
        return await self._transaction.change(delete(table).where(_is(subject))) == 1


def _is(subject: Subject) -> ColumnElement[bool]:
    return and_(table.c.issuer == subject.issuer, table.c.sub == subject.sub)


def _appointment(row: Row[Any]) -> Appointment:
    return Appointment(
        subject=Subject(row.issuer, row.sub),
        scopes=known_scopes(row.scopes),
        by=row.appointed_by,
        at=row.appointed_at,
    )
