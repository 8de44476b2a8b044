"""Policy drafts: a row each, with the rows of who wrote it and who approved it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import policy_approval, policy_author, policy_draft
from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftApproval, DraftHeader, DraftState, PolicyDraft, Schedule
from stepup.ports import DraftStore

_HEADER = tuple(column for column in policy_draft.c if column.name != "document")
_DRAFT = tuple(policy_draft.c)
_APPROVAL = tuple(policy_approval.c)


class PostgresDraftStore(DraftStore):
    """Drafts of one transaction; a change is counted by its revision."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def add(self, draft: PolicyDraft) -> PolicyDraft:
        statement = insert(policy_draft).values(_values(draft)).returning(policy_draft.c.id)
        [row] = await self._transaction.rows(statement)
        kept = msgspec.structs.replace(draft, id=DraftId(row.id))
        await self._keep_authors(kept)
        return kept

    @override
    async def find(self, draft: DraftId) -> PolicyDraft | None:
        return await self._draft(select(*_DRAFT).where(policy_draft.c.id == draft))

    @override
    async def hold(self, draft: DraftId) -> PolicyDraft | None:
        statement = select(*_DRAFT).where(policy_draft.c.id == draft)
        return await self._draft(statement.with_for_update())

    @override
    async def replace(self, draft: PolicyDraft, *, expected_revision: int) -> bool:
        statement = update(policy_draft).where(
            policy_draft.c.id == draft.id, policy_draft.c.revision == expected_revision
        )
        if await self._transaction.change(statement.values(_values(draft))) == 0:
            return False
        await self._keep_authors(draft)
        of_draft = policy_approval.c.draft == draft.id
        await self._transaction.change(delete(policy_approval).where(of_draft))
        if draft.approvals:
            rows = [_approval_values(draft.id, approval) for approval in draft.approvals]
            await self._transaction.change(insert(policy_approval).values(rows))
        return True

    @override
    async def page(self, *, before: int, count: int) -> Sequence[DraftHeader]:
        older = select(*_HEADER).where(policy_draft.c.id < before)
        newest_first = older.order_by(policy_draft.c.id.desc()).limit(count)
        rows = await self._transaction.rows(newest_first)
        ids = [row.id for row in rows]
        authors, approvals = await self._authors(ids), await self._approvals(ids)
        return [
            DraftHeader(**_told(row, authors.get(row.id, []), approvals.get(row.id, [])))
            for row in rows
        ]

    @override
    async def authors_of(self, digest: str) -> Collection[AdministratorId]:
        statement = select(policy_author.c.administrator).where(policy_author.c.digest == digest)
        return {row.administrator for row in await self._transaction.rows(statement)}

    @override
    async def due(self, now: datetime) -> Sequence[DraftId]:
        statement = select(policy_draft.c.id).where(
            policy_draft.c.state == DraftState.SCHEDULED, policy_draft.c.scheduled_at <= now
        )
        earliest_first = statement.order_by(policy_draft.c.scheduled_at, policy_draft.c.id)
        return [DraftId(row.id) for row in await self._transaction.rows(earliest_first)]

    async def _draft(self, statement: Select[Any]) -> PolicyDraft | None:
        rows = await self._transaction.rows(statement)
        if not rows:
            return None
        [row] = rows
        authors, approvals = await self._authors([row.id]), await self._approvals([row.id])
        told = _told(row, authors.get(row.id, []), approvals.get(row.id, []))
        return PolicyDraft(document=row.document, **told)

    async def _keep_authors(self, draft: PolicyDraft) -> None:
        rows = [
            {"draft": draft.id, "digest": draft.digest, "administrator": author}
            for author in draft.authors
        ]
        statement = insert(policy_author).values(rows).on_conflict_do_nothing()
        await self._transaction.change(statement)

    async def _authors(self, drafts: Sequence[int]) -> dict[int, list[AdministratorId]]:
        columns = (policy_author.c.draft, policy_author.c.administrator)
        statement = select(*columns).where(policy_author.c.draft.in_(drafts)).distinct()
        found: dict[int, list[AdministratorId]] = {}
        for row in await self._transaction.rows(statement):
            found.setdefault(row.draft, []).append(row.administrator)
        return found

    async def _approvals(self, drafts: Sequence[int]) -> dict[int, list[DraftApproval]]:
        statement = select(*_APPROVAL).where(policy_approval.c.draft.in_(drafts))
        in_order = statement.order_by(policy_approval.c.at, policy_approval.c.administrator)
        found: dict[int, list[DraftApproval]] = {}
        for row in await self._transaction.rows(in_order):
            found.setdefault(row.draft, []).append(_approval(row))
        return found


def _values(draft: PolicyDraft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "document": draft.document,
        "digest": draft.digest,
        "base": draft.base,
        "revision": draft.revision,
        "state": draft.state.value,
        "created_by": draft.created_by,
        "created_at": draft.created_at,
        "changed_at": draft.changed_at,
        "scheduled_at": draft.schedule.at if draft.schedule else None,
        "scheduled_by": draft.schedule.by if draft.schedule else None,
        "activated_as": draft.activated_as,
        "failure": draft.failure,
    }


def _told(
    row: Row[Any], authors: Sequence[AdministratorId], approvals: Sequence[DraftApproval]
) -> dict[str, Any]:
    planned = row.scheduled_at is not None
    return {
        "id": DraftId(row.id),
        "name": row.name,
        "digest": row.digest,
        "base": row.base,
        "authors": frozenset(authors),
        "created_by": AdministratorId(row.created_by),
        "created_at": row.created_at,
        "changed_at": row.changed_at,
        "revision": row.revision,
        "state": DraftState(row.state),
        "approvals": tuple(approvals),
        "schedule": Schedule(at=row.scheduled_at, by=row.scheduled_by) if planned else None,
        "activated_as": row.activated_as,
        "failure": row.failure,
    }


def _approval(row: Row[Any]) -> DraftApproval:
    return DraftApproval(
        by=row.administrator, name=row.name, digest=row.digest, base=row.base, at=row.at
    )


def _approval_values(draft: DraftId, approval: DraftApproval) -> dict[str, Any]:
    return {
        "draft": draft,
        "administrator": approval.by,
        "name": approval.name,
        "digest": approval.digest,
        "base": approval.base,
        "at": approval.at,
    }
