"""A draft of the policy: written by some, approved by others, activated as a version.

                    edit, rename, rebase (what was approved before is void)
                     .---.
                     v   |
    begin ------->  open  <------------------------ failed at its time
                    |  |  ^                               |
          discard   |  |  `-- unschedule --.              |
             .------'  |                   |              |
             v         |--- schedule --> scheduled -------'
         discarded     |                   |
                       |   enough approve  |   enough still approve, at its time
                       `----------.  .-----'
                                  v  v
                               activated (as version n)

An approval says: this text, in place of that version. It is bound to the digest of the text and to
the version that the draft is based on; when either changes it is void for good. Who wrote any of
the text never counts as an approver of it. Checks and tests are not a state: a text that was in
order yesterday need not be in this release, so it is checked whenever somebody relies on it.
"""

import hashlib
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stepup.domain.administrator import Administrator, AdministratorKind
from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_errors import (
    ApprovalRequiredError,
    BaseChangedError,
    DigestChangedError,
    DraftClosedError,
    DraftScheduledError,
    OwnDraftError,
    PersonRequiredError,
)


class DraftState(StrEnum):
    """Where a draft is in its life; the last two are final."""

    OPEN = "open"
    SCHEDULED = "scheduled"
    ACTIVATED = "activated"
    DISCARDED = "discarded"


class DraftApproval(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody wants this text in place of that version."""

    by: AdministratorId
    name: str
    digest: str
    base: int
    at: datetime


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a draft becomes active by itself, and who wants that."""

    at: datetime
    by: AdministratorId


class DraftHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A draft without its text.

    `base` is the version that the draft replaces, 0 when there was none. `revision` grows with
    every change of anything. `failure` says why the last activation came to nothing.
    """

    id: DraftId
    name: str
    digest: str
    base: int
    authors: frozenset[AdministratorId]
    created_by: AdministratorId
    created_at: datetime
    changed_at: datetime
    revision: int = 1
    state: DraftState = DraftState.OPEN
    approvals: tuple[DraftApproval, ...] = ()
    schedule: Schedule | None = None
    activated_as: int | None = None
    failure: str | None = None

    def counted(self, discounted: Collection[AdministratorId] = ()) -> tuple[DraftApproval, ...]:
        """Return the approvals that count: of this text and base, one for each non-author.

        Those of the `discounted` do not; see `Standing`.
        """
        return tuple(
            approval
            for approval in self.approvals
            if (approval.digest, approval.base) == (self.digest, self.base)
            and approval.by not in self.authors
            and approval.by not in discounted
        )


class PolicyDraft(DraftHeader, frozen=True, kw_only=True):
    """A draft with its text."""

    document: str


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become different; None for what stays."""

    name: str | None = None
    document: str | None = None
    base: int | None = None


class Standing(NamedTuple):
    """What an activation must be measured against.

    `text_authors` are the authors of the same text elsewhere: a copy makes nobody impartial.
    `dismissed` are approvers who could not approve any more.
    """

    active: int
    needed: int
    text_authors: Collection[AdministratorId] = ()
    dismissed: Collection[AdministratorId] = ()

    @property
    def discounted(self) -> Collection[AdministratorId]:
        """Whose approvals do not count."""
        return {*self.text_authors, *self.dismissed}


def digest_of(document: str) -> str:
    """Name a text by its SHA-256: what is approved is this text, to the letter."""
    return hashlib.sha256(document.encode()).hexdigest()


def begin(
    document: str,
    name: str,
    base: int,
    by: Administrator,
    now: datetime,
    source: DraftHeader | None = None,
) -> PolicyDraft:
    """Return a new draft, before it has a number; the authors of its `source` stay authors."""
    return PolicyDraft(
        id=DraftId(0),
        name=name,
        document=document,
        digest=digest_of(document),
        base=base,
        authors=frozenset({by.id}) | (source.authors if source else frozenset()),
        created_by=by.id,
        created_at=now,
        changed_at=now,
    )


def edit(draft: PolicyDraft, change: Edit, by: Administrator, now: datetime) -> PolicyDraft:
    """Change text, name or base; who changes the text is an author from now on.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
        DraftScheduledError: If it is to become active by itself.
    """
    _require_open(draft)
    document = draft.document if change.document is None else change.document
    rewritten = document != draft.document
    base = draft.base if change.base is None else change.base
    return _moved(
        draft,
        now,
        name=draft.name if change.name is None else change.name,
        document=document,
        digest=digest_of(document) if rewritten else draft.digest,
        base=base,
        authors=draft.authors | {by.id} if rewritten else draft.authors,
        # For good: an approval must not come back to life when the text does.
        approvals=() if rewritten or base != draft.base else draft.approvals,
        failure=None if rewritten or base != draft.base else draft.failure,
    )


def approve(
    draft: PolicyDraft, by: Administrator, digest: str, standing: Standing, now: datetime
) -> PolicyDraft:
    """Note an approval of the text with this digest; a second one of the same person is none.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
        DigestChangedError: If the draft has another text by now.
        BaseChangedError: If another version became active since the draft was begun.
        OwnDraftError: If the approver has a part in the text.
        PersonRequiredError: If it is a pipeline, or the host.
    """
    require_living(draft)
    if by.kind in {AdministratorKind.KEY, AdministratorKind.HOST}:
        raise PersonRequiredError
    if digest != draft.digest:
        raise DigestChangedError(draft.digest)
    require_base(draft.base, standing.active)
    if by.id in draft.authors or by.id in standing.text_authors:
        raise OwnDraftError
    if any(approval.by == by.id for approval in draft.approvals):
        return draft
    approval = DraftApproval(by=by.id, name=by.name, digest=digest, base=draft.base, at=now)
    return _moved(draft, now, approvals=(*draft.approvals, approval))


def withdraw(draft: PolicyDraft, by: Administrator, now: datetime) -> PolicyDraft:
    """Take an approval back; nothing changes when there is none.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
    """
    require_living(draft)
    left = tuple(approval for approval in draft.approvals if approval.by != by.id)
    return draft if left == draft.approvals else _moved(draft, now, approvals=left)


def require_activatable(draft: DraftHeader, standing: Standing) -> None:
    """Refuse an activation that not enough others want, or that would undo a version unseen.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
        BaseChangedError: If another version became active since the draft was begun.
        ApprovalRequiredError: If too few approvals count.
    """
    require_living(draft)
    require_base(draft.base, standing.active)
    counted = len(draft.counted(standing.discounted))
    if counted < standing.needed:
        raise ApprovalRequiredError(approvals=counted, needed=standing.needed)


def activate(draft: PolicyDraft, version: int, standing: Standing, now: datetime) -> PolicyDraft:
    """End the draft: its text is a version now.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
        BaseChangedError: If another version became active since the draft was begun.
        ApprovalRequiredError: If too few approvals count.
    """
    require_activatable(draft, standing)
    return _moved(draft, now, state=DraftState.ACTIVATED, activated_as=version, failure=None)


def schedule(
    draft: PolicyDraft, at: datetime, by: Administrator, standing: Standing, now: datetime
) -> PolicyDraft:
    """Let a draft become active by itself; what it needs for that it needs now and then.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
        BaseChangedError: If another version became active since the draft was begun.
        ApprovalRequiredError: If too few approvals count.
    """
    require_activatable(draft, standing)
    wanted = Schedule(at=at, by=by.id)
    return _moved(draft, now, state=DraftState.SCHEDULED, schedule=wanted, failure=None)


def unschedule(draft: PolicyDraft, now: datetime, failure: str | None = None) -> PolicyDraft:
    """Take the time away, because somebody wants it or because of a `failure`.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
    """
    require_living(draft)
    if draft.state is not DraftState.SCHEDULED:
        return draft
    return _moved(draft, now, state=DraftState.OPEN, schedule=None, failure=failure)


def discard(draft: PolicyDraft, now: datetime) -> PolicyDraft:
    """End the draft without a version.

    Raises:
        DraftClosedError: If the draft was activated before.
        DraftScheduledError: If it is to become active by itself.
    """
    if draft.state is DraftState.DISCARDED:
        return draft
    _require_open(draft)
    return _moved(draft, now, state=DraftState.DISCARDED)


def require_base(base: int, active: int) -> None:
    """Refuse what would replace another version than the active one.

    Raises:
        BaseChangedError: If it would.
    """
    if base != active:
        raise BaseChangedError(base=base, active=active)


def _moved(draft: PolicyDraft, now: datetime, **changes: object) -> PolicyDraft:
    return msgspec.structs.replace(draft, revision=draft.revision + 1, changed_at=now, **changes)


def require_living(draft: DraftHeader) -> None:
    """Refuse what is over.

    Raises:
        DraftClosedError: If the draft was activated or discarded.
    """
    if draft.state in {DraftState.ACTIVATED, DraftState.DISCARDED}:
        raise DraftClosedError(f"The draft was {draft.state.value} before.")


def _require_open(draft: DraftHeader) -> None:
    require_living(draft)
    if draft.state is DraftState.SCHEDULED:
        raise DraftScheduledError
