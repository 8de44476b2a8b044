"""Policy versions: rows that are only ever added; and the one row of what is shadowed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import configuration_change, policy_shadow, policy_version
from stepup.domain.ids import DraftId
from stepup.domain.policy_draft import digest_of
from stepup.ports import Origin, PolicyStore, PolicyVersion, ShadowPolicy, VersionHeader
from stepup.ports.policies import UNTOLD

# Any constant that is ours alone; `migrations/env.py` has another one.
_NUMBERING_LOCK = 7_305_401
_table = policy_version.c
# A release before the column left the digest to us; the server can make it without sending the text.
_digest = func.coalesce(
    _table.digest,
    func.encode(func.sha256(func.convert_to(_table.document, "UTF8")), literal_column("'hex'")),
).label("digest")
_HEADER = (
    _table.version,
    _table.author,
    _table.activated_at,
    _digest,
    _table.note,
    _table.base,
    _table.draft,
    _table.approvers,
    _table.rolled_back_from,
)
_VERSION = (*_HEADER, _table.document)
_SHADOW = (
    policy_shadow.c.draft,
    policy_shadow.c.digest,
    policy_shadow.c.document,
    policy_shadow.c.administrator,
    policy_shadow.c.at,
)


class PostgresPolicyStore(PolicyStore):
    """Versions numbered in the order in which they are committed."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def activate(
        self, document: str, author: str, now: datetime, origin: Origin = UNTOLD
    ) -> PolicyVersion:
        # A sequence would hand out numbers in the order of asking: the version that commits last
        # could have the smaller number, and never become active.
        await self._take_turn()
        newest = select(func.coalesce(func.max(_table.version), 0).label("version"))
        [row] = await self._transaction.rows(newest)
        version = PolicyVersion(
            version=row.version + 1,
            document=document,
            author=author,
            activated_at=now,
            digest=digest_of(document),
            note=origin.note,
            base=row.version,
            draft=origin.draft,
            approvers=origin.approvers,
            rolled_back_from=origin.rolled_back_from,
        )
        values = {name: getattr(version, name) for name in version.__struct_fields__}
        values["approvers"] = list(version.approvers)
        await self._transaction.change(insert(policy_version).values(values))
        return version

    @override
    async def hold_active(self) -> PolicyVersion | None:
        await self._take_turn()
        return await self.find_active()

    @override
    async def find_active(self) -> PolicyVersion | None:
        newest = select(*_VERSION).order_by(_table.version.desc()).limit(1)
        rows = await self._transaction.rows(newest)
        return _version(rows[0]) if rows else None

    @override
    async def find(self, version: int) -> PolicyVersion | None:
        rows = await self._transaction.rows(select(*_VERSION).where(_table.version == version))
        return _version(rows[0]) if rows else None

    @override
    async def page(self, *, before: int, count: int) -> Sequence[VersionHeader]:
        older = select(*_HEADER).where(_table.version < before)
        newest_first = older.order_by(_table.version.desc()).limit(count)
        rows = await self._transaction.rows(newest_first)
        return [VersionHeader(**_told(row)) for row in rows]

    @override
    async def find_shadow(self) -> ShadowPolicy | None:
        rows = await self._transaction.rows(select(*_SHADOW))
        return _shadow(rows[0]) if rows else None

    @override
    async def put_shadow(self, shadow: ShadowPolicy) -> None:
        values = {
            "draft": shadow.draft,
            "digest": shadow.digest,
            "document": shadow.document,
            "administrator": shadow.by,
            "at": shadow.at,
        }
        statement = insert(policy_shadow).values(values)
        await self._transaction.change(
            statement.on_conflict_do_update(index_elements=["only_row"], set_=values)
        )

    @override
    async def remove_shadow(self, draft: DraftId) -> bool:
        statement = delete(policy_shadow).where(policy_shadow.c.draft == draft)
        return await self._transaction.change(statement) == 1

    @override
    async def configuration_version(self) -> int:
        [row] = await self._transaction.rows(select(configuration_change.c.version))
        return int(row.version)

    async def _take_turn(self) -> None:
        await self._transaction.rows(select(func.pg_advisory_xact_lock(_NUMBERING_LOCK)))


def _version(row: Row[Any]) -> PolicyVersion:
    return PolicyVersion(document=row.document, **_told(row))


def _told(row: Row[Any]) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in VersionHeader.__struct_fields__}
    return told | {"note": row.note or "", "approvers": tuple(row.approvers or ())}


def _shadow(row: Row[Any]) -> ShadowPolicy:
    return ShadowPolicy(
        draft=row.draft,
        digest=row.digest,
        document=row.document,
        by=row.administrator,
        at=row.at,
    )
