"""Which draft is evaluated beside the active policy; what comes of it is told elsewhere."""

from stepup.domain.administrator import Administrator
from stepup.domain.audit import AuditKind
from stepup.domain.ids import DraftId
from stepup.domain.policy_draft import PolicyDraft, require_living
from stepup.domain.policy_errors import RevisionStaleError
from stepup.ports import Ports, ShadowPolicy, Stores
from stepup.ports.workshop import Workshop
from stepup.usecases.drafts import Moved, get, record
from stepup.usecases.policy_reading import require_valid


async def mark(
    ports: Ports, workshop: Workshop, draft_id: DraftId, by: Administrator
) -> PolicyDraft:
    """Make the draft's text the only shadow; what is written into the draft later is not in it.

    Raises:
        DraftNotFoundError: If there is no such draft.
        DraftClosedError: If it was activated or discarded.
        PolicyInvalidError: If this release cannot read it.
        RevisionStaleError: If somebody changed it meanwhile.
    """
    draft = await get(ports, draft_id)
    require_living(draft)
    await require_valid(draft.document, workshop)
    async with ports.database.transaction() as stores:
        held = await stores.drafts.hold(draft.id)
        if held is None or held.revision != draft.revision:
            raise RevisionStaleError(held.revision if held else 0)
        shadow = ShadowPolicy(
            draft=draft.id,
            digest=draft.digest,
            document=draft.document,
            by=by.id,
            at=ports.clock.now(),
        )
        await stores.policies.put_shadow(shadow)
        await record(ports, stores, Moved(draft, AuditKind.POLICY_SHADOWED, {}), by)
    await ports.state.changes.announce()
    return draft


async def unmark(ports: Ports, draft_id: DraftId, by: Administrator) -> bool:
    """End the shadow if it is this draft's; says whether it was.

    Raises:
        DraftNotFoundError: If there is no such draft.
    """
    draft = await get(ports, draft_id)
    async with ports.database.transaction() as stores:
        removed = await _remove(ports, stores, draft, by)
    if removed:
        await ports.state.changes.announce()
    return removed


async def find_shadow(ports: Ports) -> ShadowPolicy | None:
    """Return what is evaluated beside the active policy."""
    async with ports.database.transaction() as stores:
        return await stores.policies.find_shadow()


async def _remove(ports: Ports, stores: Stores, draft: PolicyDraft, by: Administrator) -> bool:
    if not await stores.policies.remove_shadow(draft.id):
        return False
    await record(ports, stores, Moved(draft, AuditKind.POLICY_UNSHADOWED, {}), by)
    return True
