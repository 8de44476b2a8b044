"""Policy drafts: begin, save, approve, discard; each change in the audit log, in one transaction.

A draft may be saved with errors, but nobody approves or activates one that this release cannot
read. What a draft may become is `domain/policy_draft.py`'s business.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from stepup.domain import policy_draft
from stepup.domain.administrator import Administrator, Scope
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import DraftId
from stepup.domain.policy_draft import DraftHeader, Edit, PolicyDraft, Standing, require_base
from stepup.domain.policy_errors import (
    DigestChangedError,
    DraftNotFoundError,
    RevisionStaleError,
)
from stepup.ports import Ports, Stores
from stepup.ports.workshop import Workshop
from stepup.usecases.administrators import may_still
from stepup.usecases.policy_reading import require_storable, require_valid

Details = dict[str, str | int | bool | None]


class Moved(NamedTuple):
    """What a draft has become, and what the log says of it."""

    draft: PolicyDraft
    kind: AuditKind
    details: Details


Move = Callable[[Stores, PolicyDraft], Awaitable[Moved]]


class NewDraft(NamedTuple):
    """What a draft begins with; without a text it has that of `copy_of`, or the active version's."""

    name: str
    document: str | None = None
    copy_of: DraftId | None = None


async def begin(ports: Ports, wanted: NewDraft, by: Administrator) -> PolicyDraft:
    """Begin a draft in place of the version that is active now.

    Raises:
        DraftNotFoundError: If there is nothing to copy.
        InvalidRequestError: If the text cannot be kept.
        BodyTooLargeError: If it is too long.
    """
    async with ports.database.transaction() as stores:
        active = await stores.policies.find_active()
        source = None if wanted.copy_of is None else await _get(stores, wanted.copy_of)
        text = wanted.document
        if text is None:
            given = source or active
            text = given.document if given else ""
        draft = await stores.drafts.add(
            policy_draft.begin(
                require_storable(text),
                require_storable(wanted.name),
                active.version if active else 0,
                by,
                ports.clock.now(),
                source,
            )
        )
        details: Details = {"base": draft.base}
        if source is not None:
            details["copy_of"] = source.id
        await record(ports, stores, Moved(draft, AuditKind.POLICY_DRAFTED, details), by)
    return draft


async def save(
    ports: Ports, draft_id: DraftId, change: Edit, by: Administrator, expected_revision: int
) -> PolicyDraft:
    """Change text, name or base of the revision that the editor has seen.

    Of two who save at once one loses nothing: he is told which revision there is now.

    Raises:
        DraftNotFoundError: If there is no such draft.
        RevisionStaleError: If it has another revision by now.
        DraftClosedError: If it was activated or discarded.
        DraftScheduledError: If it is to become active by itself.
        BaseChangedError: If the new base is not the active version.
    """
    for text in (change.name, change.document):
        require_storable(text or "")

    async def move(stores: Stores, draft: PolicyDraft) -> Moved:
        if change.base is not None:
            active = await stores.policies.find_active()
            require_base(change.base, active.version if active else 0)
        edited = policy_draft.edit(draft, change, by, ports.clock.now())
        voided = len(draft.approvals) - len(edited.approvals)
        return Moved(edited, AuditKind.POLICY_EDITED, {"base": edited.base, "voided": voided})

    return await moving(ports, draft_id, move, by, expected_revision)


async def discard(
    ports: Ports, draft_id: DraftId, by: Administrator, expected_revision: int
) -> PolicyDraft:
    """End a draft without a version; its shadow ends with it.

    Raises:
        DraftNotFoundError: If there is no such draft.
        RevisionStaleError: If it has another revision by now.
        DraftClosedError: If it was activated before.
        DraftScheduledError: If it is to become active by itself.
    """

    async def move(stores: Stores, draft: PolicyDraft) -> Moved:
        discarded = policy_draft.discard(draft, ports.clock.now())
        await stores.policies.remove_shadow(draft.id)
        return Moved(discarded, AuditKind.POLICY_DISCARDED, {})

    return await moving(ports, draft_id, move, by, expected_revision)


async def approve(
    ports: Ports, workshop: Workshop, draft_id: DraftId, digest: str, by: Administrator
) -> PolicyDraft:
    """Approve the text with this digest in place of the version that the draft is based on.

    Raises:
        DraftNotFoundError: If there is no such draft.
        DigestChangedError: If it has another text.
        BaseChangedError: If another version became active since the draft was begun.
        OwnDraftError: If the approver has a part in the text.
        PersonRequiredError: If it is a pipeline.
        DraftClosedError: If it was activated or discarded.
        PolicyInvalidError: If this release cannot read it.
    """
    seen = await get(ports, draft_id)
    if seen.digest != digest:
        raise DigestChangedError(seen.digest)
    await require_valid(seen.document, workshop)

    async def move(stores: Stores, draft: PolicyDraft) -> Moved:
        stands = await standing(ports, stores, draft)
        approved = policy_draft.approve(draft, by, digest, stands, ports.clock.now())
        return Moved(approved, AuditKind.POLICY_APPROVED, {"base": draft.base})

    return await moving(ports, draft_id, move, by)


async def withdraw(ports: Ports, draft_id: DraftId, by: Administrator) -> PolicyDraft:
    """Take one's approval back, as long as the draft is none of the past.

    Raises:
        DraftNotFoundError: If there is no such draft.
        DraftClosedError: If it was activated or discarded.
    """

    async def move(_stores: Stores, draft: PolicyDraft) -> Moved:
        left = policy_draft.withdraw(draft, by, ports.clock.now())
        return Moved(left, AuditKind.POLICY_APPROVAL_WITHDRAWN, {})

    return await moving(ports, draft_id, move, by)


async def get(ports: Ports, draft_id: DraftId) -> PolicyDraft:
    """Return a draft.

    Raises:
        DraftNotFoundError: If there is no such draft.
    """
    async with ports.database.transaction() as stores:
        return await _get(stores, draft_id)


async def list_drafts(ports: Ports, *, before: int, count: int) -> Sequence[DraftHeader]:
    """Return the next drafts with smaller numbers, newest first."""
    async with ports.database.transaction() as stores:
        return await stores.drafts.page(before=before, count=count)


async def standing(ports: Ports, stores: Stores, draft: DraftHeader) -> Standing:
    """Say what a draft is measured against now."""
    active = await stores.policies.find_active()
    dismissed = [
        approval.by
        for approval in draft.approvals
        if not await may_still(stores, approval.by, Scope.POLICY_APPROVE)
    ]
    return Standing(
        active=active.version if active else 0,
        needed=ports.site.policy_approvals,
        text_authors=await stores.drafts.authors_of(draft.digest),
        dismissed=dismissed,
    )


async def moving(
    ports: Ports,
    draft_id: DraftId,
    move: Move,
    by: Administrator,
    expected_revision: int | None = None,
) -> PolicyDraft:
    """Move a draft while nobody else does; what changes nothing leaves no trace."""
    async with ports.database.transaction() as stores:
        return await move_held(ports, stores, draft_id, move, by, expected_revision)


async def move_held(
    ports: Ports,
    stores: Stores,
    draft_id: DraftId,
    move: Move,
    by: Administrator,
    expected_revision: int | None = None,
) -> PolicyDraft:
    """Move a draft inside a transaction that does more."""
    held = await stores.drafts.hold(draft_id)
    if held is None:
        raise DraftNotFoundError
    if expected_revision is not None and held.revision != expected_revision:
        raise RevisionStaleError(held.revision)
    moved = await move(stores, held)
    if moved.draft is not held:
        if not await stores.drafts.replace(moved.draft, expected_revision=held.revision):
            raise RevisionStaleError(held.revision)
        await record(ports, stores, moved, by)
    return moved.draft


async def record(ports: Ports, stores: Stores, moved: Moved, by: Administrator) -> None:
    """Write what became of a draft to the audit log, last in its transaction."""
    event = AuditEvent(
        kind=moved.kind,
        at=ports.clock.now(),
        details={
            "draft": moved.draft.id,
            "by": by.id,
            "digest": moved.draft.digest,
            **moved.details,
        },
    )
    activated = moved.kind is AuditKind.POLICY_ACTIVATED
    once = f"policy-{moved.draft.activated_as}" if activated else ports.entropy.token(16)
    await stores.audit.append(once, event)


async def _get(stores: Stores, draft_id: DraftId) -> PolicyDraft:
    draft = await stores.drafts.find(draft_id)
    if draft is None:
        raise DraftNotFoundError
    return draft
