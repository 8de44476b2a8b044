"""End all that a subject has proved, on somebody's word, and say so in the log.

Who receives our security events is told from there (`session-revoked`).
"""

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from stepup.domain.ids import SubjectId
from stepup.ports import AuditRecorded, Ports
from stepup.usecases.revoke import revoke_subject


async def end_subject(ports: Ports, subject_id: SubjectId, *, by: str, why: str = "") -> None:
    """Revoke all that a subject has proved up to now, and record on whose word; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await revoke_subject(ports, subject_id)
    details: dict[str, str | int | bool | None] = {"by": by, "why": why} if why else {"by": by}
    event = AuditEvent(
        kind=AuditKind.SUBJECT_REVOKED,
        at=ports.clock.now(),
        subject_id=subject_id,
        details=details,
    )
    try:
        await ports.state.outbox.append(AuditRecorded(event=event))
    except (DependencyUnavailableError, OutcomeUnknownError):
        # With Redis away the revocation has a row already, so its record can have one.
        async with ports.database.transaction() as stores:
            await stores.audit.append(ports.entropy.token(16), event)
