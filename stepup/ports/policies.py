"""Policies in PostgreSQL: versions that never change, and the drafts that they are made of."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftHeader, PolicyDraft


class VersionHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its text.

    `base` is the version that it replaced. `approvers` are the names of those whose approvals
    counted; after a rollback they are those of the version whose text it has.
    """

    version: int
    author: str
    activated_at: datetime
    digest: str = ""
    note: str = ""
    base: int | None = None
    draft: DraftId | None = None
    approvers: tuple[str, ...] = ()
    rolled_back_from: int | None = None


class PolicyVersion(VersionHeader, frozen=True, kw_only=True):
    """An immutable version of the policy document, as text."""

    document: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How a version comes about, for whoever reads of it later."""

    note: str = ""
    draft: DraftId | None = None
    approvers: tuple[str, ...] = ()
    rolled_back_from: int | None = None


UNTOLD = Origin()
"""The origin of a version of which there is nothing to tell."""


class ShadowPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The text that is evaluated beside the active version, as the draft had it when it was marked."""

    draft: DraftId
    digest: str
    document: str
    by: AdministratorId
    at: datetime


class PolicyStore(Protocol):
    """All versions; the one with the largest number is active."""

    async def activate(
        self, document: str, author: str, now: datetime, origin: Origin = UNTOLD
    ) -> PolicyVersion:
        """Keep a document as the next version; two at once get two numbers."""
        ...

    async def hold_active(self) -> PolicyVersion | None:
        """Return the active version; nobody else activates one before this transaction ends."""
        ...

    async def find_active(self) -> PolicyVersion | None:
        """Return the active version, None before the first."""
        ...

    async def find(self, version: int) -> PolicyVersion | None:
        """Return a version by its number."""
        ...

    async def page(self, *, before: int, count: int) -> Sequence[VersionHeader]:
        """Return the next versions with smaller numbers, newest first."""
        ...

    async def find_shadow(self) -> ShadowPolicy | None:
        """Return what is evaluated beside the active version."""
        ...

    async def put_shadow(self, shadow: ShadowPolicy) -> None:
        """Make this the only shadow."""
        ...

    async def remove_shadow(self, draft: DraftId) -> bool:
        """Remove the shadow if it is this draft's; of concurrent callers one gets True."""
        ...

    async def configuration_version(self) -> int:
        """Return `Database.configuration_version` as this transaction's own server has it."""
        ...


class DraftStore(Protocol):
    """Drafts of the policy, by their numbers."""

    async def add(self, draft: PolicyDraft) -> PolicyDraft:
        """Keep a new draft; returns it with its number."""
        ...

    async def find(self, draft: DraftId) -> PolicyDraft | None:
        """Return a draft by its number."""
        ...

    async def hold(self, draft: DraftId) -> PolicyDraft | None:
        """Return a draft; nobody else changes it before this transaction ends."""
        ...

    async def replace(self, draft: PolicyDraft, *, expected_revision: int) -> bool:
        """Keep a draft as it is now if it has that revision still; of concurrent callers one does."""
        ...

    async def page(self, *, before: int, count: int) -> Sequence[DraftHeader]:
        """Return the next drafts with smaller numbers, newest first."""
        ...

    async def authors_of(self, digest: str) -> Collection[AdministratorId]:
        """Return everybody who was an author of this text, in whatever draft it stood."""
        ...

    async def due(self, now: datetime) -> Sequence[DraftId]:
        """Return the drafts whose time has come, the earliest first."""
        ...
