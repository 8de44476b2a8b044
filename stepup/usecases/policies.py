"""Policy documents: check one, activate one as the next immutable version."""

from importlib.resources import files

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import PolicyNotFoundError
from stepup.policy_language import document
from stepup.ports import PolicyVersion, Ports


async def activate(ports: Ports, text: str, author: str) -> PolicyVersion:
    """Check a document and make it the active version, everywhere within two seconds.

    Raises:
        PolicyInvalidError: If the document has errors; its findings say where.
    """
    document.parse(text, version=0)
    now = ports.clock.now()
    async with ports.database.transaction() as stores:
        version = await stores.policies.activate(text, author, now)
        await stores.audit.append(
            f"policy-{version.version}",
            AuditEvent(
                kind=AuditKind.POLICY_ACTIVATED,
                at=now,
                details={"version": version.version, "author": author},
            ),
        )
    await ports.state.changes.announce()
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


def development_document() -> str:
    """Return the document that the demo bank runs on."""
    folder = files("stepup.policy_language") / "defaults"
    return (folder / "development.yaml").read_text(encoding="utf-8")
