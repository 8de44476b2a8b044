"""End all that a subject has proved, on somebody's word, and say so in the log.

Who receives our security events is told from there (`session-revoked`).
"""

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import SubjectId
from stepup.ports import Ports
from stepup.usecases.revoke import record, revoke_subject


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
    await record(ports, event)
