"""Policy versions: activate one, look at them, go back to one.

What comes from a draft is `activations.py`'s business; here are the ways without one.
"""

from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files

from stepup.domain.administrator import Administrator
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import PolicyNotFoundError
from stepup.domain.policy_draft import digest_of
from stepup.domain.policy_errors import (
    AlreadyActiveError,
    ApprovalRequiredError,
    VersionNotFoundError,
    VersionStaleError,
)
from stepup.ports import Origin, PolicyVersion, Ports, Stores, VersionHeader
from stepup.ports.policies import UNTOLD
from stepup.ports.workshop import Workshop
from stepup.usecases.policy_reading import require_valid

# Long enough for what somebody finds on Monday of what was done on Friday; old rules that
# everybody has forgotten are no emergency.
ROLLBACK_WINDOW = timedelta(days=7)


Details = dict[str, str | int | bool | None]


async def activate(
    ports: Ports,
    text: str,
    author: str,
    workshop: Workshop | None = None,
    *,
    by: str | None = None,
    replacing: int | None = None,
) -> PolicyVersion:
    """Check a document and make it the active version, everywhere within two seconds.

    The first version needs no approval: without one nobody is let in who could approve it.
    `replacing` is the version that the author has seen, 0 for none; `by` identifies him in the log.

    Raises:
        PolicyInvalidError: If the document has errors; its findings say where.
        VersionStaleError: If another version than the one to be replaced is active.
        ApprovalRequiredError: If other administrators must approve it.
    """
    await require_valid(text, workshop)
    needed = ports.site.policy_approvals
    async with ports.database.transaction() as stores:
        active = await stores.policies.hold_active()
        number = active.version if active else 0
        if replacing not in {None, number}:
            raise VersionStaleError(number)
        if needed and active is not None:
            raise ApprovalRequiredError(approvals=0, needed=needed)
        details: Details = {} if by is None else {"by": by}
        version = await keep(ports, stores, text, author, details=details)
    await ports.state.changes.announce()
    return version


async def force(ports: Ports, text: str, author: str, reason: str) -> PolicyVersion:
    """Make a document the active version without the approvals that it needs, in an emergency.

    For operators on the host, who could change the settings as well; the log says that they did.

    Raises:
        PolicyInvalidError: If the document has errors; its findings say where.
    """
    await require_valid(text, None)
    async with ports.database.transaction() as stores:
        origin = Origin(note=f"without approval: {reason}")
        version = await keep(ports, stores, text, author, origin)
        event = AuditEvent(
            kind=AuditKind.POLICY_FORCED,
            at=version.activated_at,
            details={"version": version.version, "author": author, "reason": reason},
        )
        await stores.audit.append(ports.entropy.token(16), event)
    await ports.state.changes.announce()
    return version


async def roll_back(
    ports: Ports, workshop: Workshop, number: int, by: Administrator, note: str
) -> PolicyVersion:
    """Make the text of an earlier version the active one again, as a new version.

    At once, if that text was approved by as many others as one needs now and was in force lately:
    an emergency must not wait for a second administrator. Otherwise it takes a draft.

    Raises:
        VersionNotFoundError: If there is no such version.
        PolicyInvalidError: If this release cannot read it any more.
        AlreadyActiveError: If it is the active version.
        ApprovalRequiredError: If it needs to be approved, again or for the first time.
    """
    old = await get_version(ports, number)
    await require_valid(old.document, workshop)
    async with ports.database.transaction() as stores:
        active = await stores.policies.hold_active()
        if active is None:
            raise PolicyNotFoundError
        if active.version == number:
            raise AlreadyActiveError
        await _require_lately_approved(ports, stores, old, active)
        origin = Origin(note=note, approvers=old.approvers, rolled_back_from=number)
        version = await keep(ports, stores, old.document, by.name, origin, {"by": by.id})
        event = AuditEvent(
            kind=AuditKind.POLICY_ROLLED_BACK,
            at=version.activated_at,
            details={
                "version": version.version,
                "rolled_back_from": number,
                "by": by.id,
                "digest": version.digest,
            },
        )
        await stores.audit.append(ports.entropy.token(16), event)
    await ports.state.changes.announce()
    return version


async def keep(
    ports: Ports,
    stores: Stores,
    text: str,
    author: str,
    origin: Origin = UNTOLD,
    details: Details | None = None,
) -> PolicyVersion:
    """Keep the next version, and its entry in the log; who calls announces it after the commit."""
    version = await stores.policies.activate(text, author, ports.clock.now(), origin)
    event = AuditEvent(
        kind=AuditKind.POLICY_ACTIVATED,
        at=version.activated_at,
        details={
            "version": version.version,
            "author": author,
            "digest": digest_of(text),
            "base": version.base,
            **(details or {}),
        },
    )
    await stores.audit.append(f"policy-{version.version}", event)
    return version


async def find_active(ports: Ports) -> PolicyVersion | None:
    """Return the active version with its text, None before the first one."""
    async with ports.database.transaction() as stores:
        return await stores.policies.find_active()


async def get_active(ports: Ports) -> PolicyVersion:
    """Return the active version with its text.

    Raises:
        PolicyNotFoundError: Before the first one.
    """
    active = await find_active(ports)
    if active is None:
        raise PolicyNotFoundError
    return active


async def get_version(ports: Ports, number: int) -> PolicyVersion:
    """Return a version with its text.

    Raises:
        VersionNotFoundError: If there is no such version.
    """
    async with ports.database.transaction() as stores:
        version = await stores.policies.find(number)
    if version is None:
        raise VersionNotFoundError
    return version


async def list_versions(ports: Ports, *, before: int, count: int) -> Sequence[VersionHeader]:
    """Return the next versions with smaller numbers, newest first."""
    async with ports.database.transaction() as stores:
        return await stores.policies.page(before=before, count=count)


async def _require_lately_approved(
    ports: Ports, stores: Stores, old: PolicyVersion, active: PolicyVersion
) -> None:
    needed = ports.site.policy_approvals
    if len(old.approvers) < needed:
        raise ApprovalRequiredError(
            approvals=len(old.approvers),
            needed=needed,
            detail="That version was never approved by enough others; make a draft of its text.",
        )
    next_one = await stores.policies.find(old.version + 1)
    replaced_at = active.activated_at if next_one is None else next_one.activated_at
    is_old = ports.clock.now() - replaced_at > ROLLBACK_WINDOW
    if needed and is_old and old.version != active.version - 1:
        raise ApprovalRequiredError(
            approvals=0,
            needed=needed,
            detail="That version has not been in force lately; make a draft of its text.",
        )


def development_document() -> str:
    """Return the document that the demo bank runs on."""
    folder = files("stepup.policy_language") / "defaults"
    return (folder / "development.yaml").read_text(encoding="utf-8")
