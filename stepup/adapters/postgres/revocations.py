"""Revocations: one row for each token, subject or key, raised and never lowered."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import revocation as table
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.revocation import Revocation, RevocationMap, Revoked
from stepup.ports import RevocationStore, WrittenRevocation

_STANDBY = "a standby answered"


class PostgresRevocationStore(RevocationStore):
    """Rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, revocations: Sequence[Revocation]) -> None:
        # One statement cannot touch one row twice; and in one order, so that two never wait for
        # each other.
        rows = sorted(RevocationMap(revocations).entries(), key=lambda r: (r.what, r.value))
        if not rows:
            return
        statement = insert(table).values([_values(each) for each in rows])
        sent = statement.excluded
        raised = statement.on_conflict_do_update(
            index_elements=[table.c.what, table.c.value],
            set_={
                "before": func.greatest(table.c.before, sent.before),
                "until": func.greatest(table.c.until, sent.until),
                # Whoever reads on from the last one that he saw must meet it again.
                "written_at": func.clock_timestamp(),
            },
            where=or_(table.c.before < sent.before, table.c.until < sent.until),
        )
        await self._transaction.change(raised)

    @override
    async def live(
        self, now: datetime, *, since: datetime | None = None
    ) -> Sequence[WrittenRevocation]:
        [standby] = await self._transaction.rows(select(func.pg_is_in_recovery().label("is")))
        if standby[0]:
            # An old primary that goes on answering reads; its connection must not be used again.
            self._transaction.lost = True
            raise DependencyUnavailableError(_STANDBY)
        found = select(table).where(table.c.until > now).order_by(table.c.written_at)
        if since is not None:
            found = found.where(table.c.written_at >= since)
        return [
            WrittenRevocation(
                Revocation(
                    what=Revoked(row.what),
                    value=row.value,
                    before=row.before,
                    until=row.until,
                    at=row.at,
                ),
                row.written_at,
            )
            for row in await self._transaction.rows(found)
        ]

    @override
    async def forget(self, ended_before: datetime) -> None:
        await self._transaction.change(delete(table).where(table.c.until < ended_before))


def _values(revocation: Revocation) -> dict[str, object]:
    return {
        "what": revocation.what.value,
        "value": revocation.value,
        "before": revocation.before,
        "until": revocation.until,
        "at": revocation.at,
    }
