"""Policy versions: rows that are only ever added."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, literal, select
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import configuration_change, policy_version
from stepup.ports import PolicyStore, PolicyVersion

# Any constant that is ours alone; `migrations/env.py` has another one.
_NUMBERING_LOCK = 7_305_401
_COLUMNS = (
    policy_version.c.version,
    policy_version.c.document,
    policy_version.c.author,
    policy_version.c.activated_at,
)


class PostgresPolicyStore(PolicyStore):
    """Versions numbered in the order in which they are committed."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def activate(self, document: str, author: str, now: datetime) -> PolicyVersion:
        # A sequence would hand out numbers in the order of asking: the version that commits last
        # could have the smaller number, and never become active.
        await self._transaction.rows(select(func.pg_advisory_xact_lock(_NUMBERING_LOCK)))
        next_version = func.coalesce(func.max(policy_version.c.version), 0) + 1
        statement = (
            insert(policy_version)
            .from_select(
                ["version", "document", "author", "activated_at"],
                select(
                    next_version,
                    literal(document),
                    literal(author),
                    literal(now, policy_version.c.activated_at.type),
                ),
            )
            .returning(*_COLUMNS)
        )
        [row] = await self._transaction.rows(statement)
        return _version(row)

    @override
    async def find_active(self) -> PolicyVersion | None:
        newest = select(*_COLUMNS).order_by(policy_version.c.version.desc()).limit(1)
        rows = await self._transaction.rows(newest)
        return _version(rows[0]) if rows else None

    @override
    async def configuration_version(self) -> int:
        [row] = await self._transaction.rows(select(configuration_change.c.version))
        return int(row.version)


def _version(row: Row[Any]) -> PolicyVersion:
    return PolicyVersion(
        version=row.version,
        document=row.document,
        author=row.author,
        activated_at=row.activated_at,
    )
