"""Drafts become versions: at once, or at a time somebody has set.

Whatever an activation needs is looked at in the transaction that makes the version, while nobody
else can make one or change the draft. A draft that cannot become active at its time is open again
and says why.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from stepup.domain import policy_draft
from stepup.domain.admin_errors import InsufficientScopeError
from stepup.domain.administrator import Administrator, Scope
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    DependencyUnavailableError,
    InvalidRequestError,
    OutcomeUnknownError,
    StepUpError,
)
from stepup.domain.ids import DraftId
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft
from stepup.domain.policy_errors import RevisionStaleError
from stepup.ports import Lease, Origin, PolicyVersion, Ports, Stores
from stepup.ports.workshop import Workshop
from stepup.usecases.administrators import may_still
from stepup.usecases.drafts import Moved, get, move_held, moving, standing
from stepup.usecases.policy_reading import require_valid

# What is scheduled becomes active at most this much later, and everywhere within two seconds of that.
LOOK_INTERVAL = timedelta(seconds=1)
# A time that far away was meant in another unit.
_FURTHEST = timedelta(days=366)


class Wanted(NamedTuple):
    """Which activation somebody wants.

    `expected_active` is the version that he knows to be replaced, if that is not the one the draft
    is based on; what was approved before does not count for it.
    """

    expected_revision: int
    expected_active: int | None = None


async def activate(
    ports: Ports, workshop: Workshop, draft_id: DraftId, wanted: Wanted, by: Administrator
) -> PolicyVersion:
    """Make a draft the active version, everywhere within two seconds.

    Raises:
        DraftNotFoundError: If there is no such draft.
        RevisionStaleError: If it has another revision by now.
        DraftClosedError: If it was activated or discarded.
        BaseChangedError: If another version became active since the draft was begun.
        ApprovalRequiredError: If too few others have approved it.
        PolicyInvalidError: If this release cannot read it.
    """
    await _require_valid(ports, workshop, draft_id, wanted.expected_revision)
    async with ports.database.transaction() as stores:
        version = await _activate(ports, stores, draft_id, by, wanted)
    await ports.state.changes.announce()
    return version


async def schedule(
    ports: Ports,
    workshop: Workshop,
    draft_id: DraftId,
    wanted: Wanted,
    at: datetime,
    by: Administrator,
) -> PolicyDraft:
    """Let a draft become the active version at a time; it must have all it needs already.

    Raises:
        InvalidRequestError: If the time is past, or more than a year away.
        DraftNotFoundError: If there is no such draft.
        RevisionStaleError: If it has another revision by now.
        DraftClosedError: If it was activated or discarded.
        BaseChangedError: If another version became active since the draft was begun.
        ApprovalRequiredError: If too few others have approved it.
        PolicyInvalidError: If this release cannot read it.
    """
    await _require_valid(ports, workshop, draft_id, wanted.expected_revision)

    async def move(stores: Stores, draft: PolicyDraft) -> Moved:
        if not timedelta(0) < at - await stores.keys.now() <= _FURTHEST:
            raise InvalidRequestError("`at` must be in the future, within a year.")
        now = ports.clock.now()
        based = await _rebased(stores, draft, wanted, by, now)
        stands = await standing(ports, stores, based)
        planned = policy_draft.schedule(based, at, by, stands, now)
        return Moved(planned, AuditKind.POLICY_SCHEDULED, {"at": at.isoformat()})

    return await moving(ports, draft_id, move, by, wanted.expected_revision)


async def cancel(ports: Ports, draft_id: DraftId, by: Administrator) -> PolicyDraft:
    """Take a schedule back.

    Raises:
        DraftNotFoundError: If there is no such draft.
        DraftClosedError: If it was activated or discarded.
    """

    async def move(_stores: Stores, draft: PolicyDraft) -> Moved:
        canceled = policy_draft.unschedule(draft, ports.clock.now())
        return Moved(canceled, AuditKind.POLICY_UNSCHEDULED, {})

    return await moving(ports, draft_id, move, by)


async def keep_schedule(ports: Ports, workshop: Workshop) -> None:
    """Activate what is due, for ever."""
    while True:
        # What is due stays due: whoever has PostgreSQL again does it.
        with contextlib.suppress(DependencyUnavailableError):
            await activate_due(ports, workshop)
        await asyncio.sleep(LOOK_INTERVAL.total_seconds())


async def activate_due(ports: Ports, workshop: Workshop) -> Sequence[DraftId]:
    """Activate what is due, one instance at a time; returns what is done with, well or not."""
    async with ports.database.transaction() as stores:
        due = await stores.drafts.due(await stores.keys.now())
    done = []
    for draft_id in due:
        # One that cannot be looked at now is due again, and keeps no other from its time.
        with contextlib.suppress(DependencyUnavailableError):
            if await _finish_due(ports, workshop, draft_id):
                done.append(draft_id)
    return done


async def _finish_due(ports: Ports, workshop: Workshop, draft_id: DraftId) -> bool:
    draft = await get(ports, draft_id)
    if draft.schedule is None:
        return False
    by = Administrator(id=draft.schedule.by, name=draft.schedule.by, scopes=frozenset())
    try:
        await require_valid(draft.document, workshop)
        done = await _activate_if_due(ports, draft, by)
    except (DependencyUnavailableError, OutcomeUnknownError):
        raise
    except RevisionStaleError:
        return False
    except StepUpError as error:
        return await _fail(ports, draft, by, error.code, error.detail)
    # Whatever it does to its reader, it must not keep others from their time, nor come back.
    except Exception as error:  # noqa: BLE001  see above
        return await _fail(ports, draft, by, "internal_error", type(error).__name__)
    if done:
        await ports.state.changes.announce()
    return done


async def _activate_if_due(ports: Ports, draft: PolicyDraft, by: Administrator) -> bool:
    async with ports.database.transaction() as stores:
        # Another instance may have begun before us, and is done with it or will be.
        if not await stores.leases.take(Lease.POLICIES):
            return False
        held = await stores.drafts.hold(draft.id)
        if held is None or held.state is not DraftState.SCHEDULED:
            return False
        if not await may_still(stores, by.id, Scope.POLICY_ACTIVATE):
            raise InsufficientScopeError(Scope.POLICY_ACTIVATE)
        await _activate(ports, stores, draft.id, by, Wanted(draft.revision))
    return True


async def _fail(
    ports: Ports, draft: PolicyDraft, by: Administrator, code: str, detail: str
) -> bool:
    async def move(_stores: Stores, held: PolicyDraft) -> Moved:
        failed = policy_draft.unschedule(held, ports.clock.now(), f"{code}: {detail}")
        return Moved(failed, AuditKind.POLICY_ACTIVATION_FAILED, {"reason": code})

    with contextlib.suppress(RevisionStaleError):
        await moving(ports, draft.id, move, by, draft.revision)
        return True
    return False


async def _require_valid(
    ports: Ports, workshop: Workshop, draft_id: DraftId, expected_revision: int
) -> None:
    """Check the text of a revision, before anything is held for it."""
    draft = await get(ports, draft_id)
    if draft.revision != expected_revision:
        raise RevisionStaleError(draft.revision)
    await require_valid(draft.document, workshop)


async def _activate(
    ports: Ports, stores: Stores, draft_id: DraftId, by: Administrator, wanted: Wanted
) -> PolicyVersion:
    made: list[PolicyVersion] = []

    async def move(stores: Stores, draft: PolicyDraft) -> Moved:
        now = ports.clock.now()
        await stores.policies.hold_active()
        based = await _rebased(stores, draft, wanted, by, now)
        stands = await standing(ports, stores, based)
        done = policy_draft.activate(based, stands.active + 1, stands, now)
        counted = based.counted(stands.discounted)
        origin = Origin(
            note=draft.name,
            draft=draft.id,
            approvers=tuple(approval.name for approval in counted),
        )
        # Before the version: whoever marks a shadow at the same time holds these rows in this order.
        await stores.policies.remove_shadow(draft.id)
        made.append(await stores.policies.activate(draft.document, by.name, now, origin))
        return Moved(
            done,
            AuditKind.POLICY_ACTIVATED,
            {
                "version": stands.active + 1,
                "author": by.name,
                "base": based.base,
                "approvers": ", ".join(approval.by for approval in counted),
                "needed": stands.needed,
            },
        )

    await move_held(ports, stores, draft_id, move, by, wanted.expected_revision)
    [version] = made
    return version


async def _rebased(
    stores: Stores, draft: PolicyDraft, wanted: Wanted, by: Administrator, now: datetime
) -> PolicyDraft:
    if wanted.expected_active is None:
        return draft
    active = await stores.policies.find_active()
    number = active.version if active else 0
    policy_draft.require_base(wanted.expected_active, number)
    if draft.base == number:
        return draft
    return policy_draft.edit(draft, Edit(base=number), by, now)
