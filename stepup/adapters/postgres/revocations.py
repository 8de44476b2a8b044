"""Revocations: one row for each thing that was revoked, raised and never lowered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import revocation as table
from stepup.domain.errors import DependencyUnavailableError, NewerFormatError
from stepup.domain.revocation import Revocation, RevocationMap, Revoked
from stepup.ports import RevocationStore, WrittenRevocation

_STANDBY = "a standby answered"
# How kinds are written that the first releases do not know, so that those read a row about nobody:
# they hear of such a revocation from Redis, where it ends more for them, and where none is made
# without. A row of a client stops them: they say that they do not know what was revoked.
_WRITTEN_AS = {
    Revoked.AUTHENTICATOR: (Revoked.SUBJECT, "authenticator "),
    Revoked.GRANT: (Revoked.TOKEN, "grant "),
}


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
                "at": func.greatest(table.c.at, sent.at),
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
                _revocation(row),
                row.written_at,
            )
            for row in await self._transaction.rows(found)
        ]

    @override
    async def forget(self, ended_before: datetime) -> None:
        await self._transaction.change(delete(table).where(table.c.until < ended_before))


def _revocation(row: Row[Any]) -> Revocation:
    what, value = row.what, row.value
    for kind, (written, prefix) in _WRITTEN_AS.items():
        if what == written and value.startswith(prefix):
            what, value = kind, value.removeprefix(prefix)
    try:
        known = Revoked(what)
    except ValueError:
        # Nobody here can say what it ends: nothing may be said as if it ended nothing.
        raise NewerFormatError from None
    return Revocation(what=known, value=value, before=row.before, until=row.until, at=row.at)


def _values(revocation: Revocation) -> dict[str, object]:
    what, prefix = _WRITTEN_AS.get(revocation.what, (revocation.what, ""))
    return {
        "what": what.value,
        "value": f"{prefix}{revocation.value}",
        "before": revocation.before,
        "until": revocation.until,
        "at": revocation.at,
    }
