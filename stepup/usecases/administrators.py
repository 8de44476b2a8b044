"""Who administers: appoint a subject, dismiss one. For the operator of the host."""

from collections.abc import Iterable, Sequence

from stepup.domain.administrator import Appointment, Scope
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import Subject
from stepup.ports import Ports


async def appoint(ports: Ports, subject: Subject, scopes: Iterable[Scope], by: str) -> Appointment:
    """Let a subject administer, or change what it may.

    Raises:
        InvalidRequestError: If the subject is of no issuer of ours, or could do nothing.
    """
    if subject.issuer not in ports.site.subject_issuers:
        raise InvalidRequestError("The issuer is none whose subjects we know.")
    appointment = Appointment(
        subject=subject, scopes=frozenset(scopes), by=by, at=ports.clock.now()
    )
    if not appointment.scopes:
        raise InvalidRequestError("An administrator has scopes.")
    told: dict[str, str | int | bool | None] = {
        "scopes": " ".join(sorted(appointment.scopes)),
        "by": by,
    }
    async with ports.database.transaction() as stores:
        await stores.administrators.put(appointment)
        await stores.audit.append(
            ports.entropy.token(16),
            AuditEvent(
                kind=AuditKind.ADMINISTRATOR_APPOINTED,
                at=appointment.at,
                subject_id=subject.id,
                details=told,
            ),
        )
    return appointment


async def dismiss(ports: Ports, subject: Subject, by: str) -> bool:
    """Let a subject administer no more, from the next request on; False when it did not."""
    async with ports.database.transaction() as stores:
        if not await stores.administrators.remove(subject):
            return False
        await stores.audit.append(
            ports.entropy.token(16),
            AuditEvent(
                kind=AuditKind.ADMINISTRATOR_DISMISSED,
                at=ports.clock.now(),
                subject_id=subject.id,
                details={"by": by},
            ),
        )
    return True


async def list_appointments(ports: Ports) -> Sequence[Appointment]:
    """Return everybody who administers."""
    async with ports.database.transaction() as stores:
        return await stores.administrators.all()
