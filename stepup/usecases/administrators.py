"""Who administers: appoint a subject, dismiss one. For the operator of the host."""

from collections.abc import Iterable, Sequence

from stepup.domain.administrator import Appointment, Scope, is_person, key_of
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AdministratorId, Subject
from stepup.ports import Ports, Stores


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


async def may_still(stores: Stores, by: AdministratorId, scope: Scope) -> bool:
    """Say whether who did something a while ago could do it now.

    A key that has expired since did it in its time; one that was revoked may have been stolen.
    """
    if is_person(by):
        everybody = await stores.administrators.all()
        return any(each.administrator.id == by and scope in each.scopes for each in everybody)
    key_id = key_of(by)
    key = None if key_id is None else await stores.api_keys.find(key_id)
    return key_id is None or (key is not None and key.revoked_at is None)


async def list_appointments(ports: Ports) -> Sequence[Appointment]:
    """Return everybody who administers."""
    async with ports.database.transaction() as stores:
        return await stores.administrators.all()
