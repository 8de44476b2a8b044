"""Policy versions and drafts in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec
from typing_extensions import override

from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftHeader, DraftState, PolicyDraft, digest_of
from stepup.ports import (
    DraftStore,
    Origin,
    PolicyStore,
    PolicyVersion,
    ShadowPolicy,
    VersionHeader,
)
from stepup.ports.policies import UNTOLD


@dataclass
class PolicyRows:
    """All rows about policies."""

    versions: list[PolicyVersion] = field(default_factory=list)
    drafts: dict[DraftId, PolicyDraft] = field(default_factory=dict)
    authors: set[tuple[str, AdministratorId]] = field(default_factory=set)
    shadow: ShadowPolicy | None = None

    def copy(self) -> "PolicyRows":
        """Copy every table; the rows are immutable."""
        return PolicyRows(
            self.versions.copy(), self.drafts.copy(), self.authors.copy(), self.shadow
        )


class HasPolicyRows(Protocol):
    """The tables, as far as they are read here."""

    policies: PolicyRows
    changes: list[None]


class MemoryPolicyStore(PolicyStore):
    """Versions in a list."""

    def __init__(self, tables: HasPolicyRows) -> None:
        self._tables = tables
        self._rows = tables.policies

    @override
    async def activate(
        self, document: str, author: str, now: datetime, origin: Origin = UNTOLD
    ) -> PolicyVersion:
        base = len(self._rows.versions)
        version = PolicyVersion(
            version=base + 1,
            document=document,
            author=author,
            activated_at=now,
            digest=digest_of(document),
            note=origin.note,
            base=base,
            draft=origin.draft,
            approvers=origin.approvers,
            rolled_back_from=origin.rolled_back_from,
        )
        self._rows.versions.append(version)
        self._tables.changes.append(None)
        return version

    @override
    async def hold_active(self) -> PolicyVersion | None:
        return await self.find_active()

    @override
    async def find_active(self) -> PolicyVersion | None:
        return self._rows.versions[-1] if self._rows.versions else None

    @override
    async def find(self, version: int) -> PolicyVersion | None:
        return next((one for one in self._rows.versions if one.version == version), None)

    @override
    async def page(self, *, before: int, count: int) -> Sequence[VersionHeader]:
        older = [one for one in reversed(self._rows.versions) if one.version < before]
        return [_without_text(one, VersionHeader) for one in older[:count]]

    @override
    async def find_shadow(self) -> ShadowPolicy | None:
        return self._rows.shadow

    @override
    async def put_shadow(self, shadow: ShadowPolicy) -> None:
        self._rows.shadow = shadow
        self._tables.changes.append(None)

    @override
    async def remove_shadow(self, draft: DraftId) -> bool:
        if self._rows.shadow is None or self._rows.shadow.draft != draft:
            return False
        self._rows.shadow = None
        self._tables.changes.append(None)
        return True

    @override
    async def configuration_version(self) -> int:
        return len(self._tables.changes)


class MemoryDraftStore(DraftStore):
    """Drafts in a dictionary."""

    def __init__(self, rows: PolicyRows) -> None:
        self._rows = rows

    @override
    async def add(self, draft: PolicyDraft) -> PolicyDraft:
        kept = msgspec.structs.replace(draft, id=DraftId(len(self._rows.drafts) + 1))
        self._keep(kept)
        return kept

    @override
    async def find(self, draft: DraftId) -> PolicyDraft | None:
        return self._rows.drafts.get(draft)

    @override
    async def hold(self, draft: DraftId) -> PolicyDraft | None:
        return await self.find(draft)

    @override
    async def replace(self, draft: PolicyDraft, *, expected_revision: int) -> bool:
        held = self._rows.drafts.get(draft.id)
        if held is None or held.revision != expected_revision:
            return False
        self._keep(draft)
        return True

    @override
    async def page(self, *, before: int, count: int) -> Sequence[DraftHeader]:
        older = [self._rows.drafts[one] for one in sorted(self._rows.drafts, reverse=True)]
        chosen = [draft for draft in older if draft.id < before][:count]
        return [_without_text(draft, DraftHeader) for draft in chosen]

    @override
    async def authors_of(self, digest: str) -> Collection[AdministratorId]:
        return {author for text, author in self._rows.authors if text == digest}

    @override
    async def due(self, now: datetime) -> Sequence[DraftId]:
        waiting = [
            (draft.schedule.at, draft.id)
            for draft in self._rows.drafts.values()
            if draft.state is DraftState.SCHEDULED and draft.schedule is not None
        ]
        return [draft for at, draft in sorted(waiting) if at <= now]

    def _keep(self, draft: PolicyDraft) -> None:
        self._rows.drafts[draft.id] = draft
        self._rows.authors |= {(draft.digest, author) for author in draft.authors}


def _without_text(whole: msgspec.Struct, header: type) -> msgspec.Struct:
    return header(**{name: getattr(whole, name) for name in header.__struct_fields__})
