"""End all that a subject has proved, on somebody's word, and say so in the log.

Who receives our security events is told from there (`session-revoked`).
"""

from datetime import datetime

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import SubjectId
from stepup.ports import Ports
from stepup.usecases.revoke import record, revoke_subject


async def end_subject(
    ports: Ports,
    subject_id: SubjectId,
    *,
    by: str,
    why: str = "",
    up_to: datetime | None = None,
    told_by: str = "",
) -> None:
    """Revoke what a subject has proved up to a moment, by default to now, and record on whose word.

    Again is harmless; what the same event told is recorded once.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await revoke_subject(ports, subject_id, up_to)
    details: dict[str, str | int | bool | None] = {"by": by}
    if why:
        details["why"] = why
    if told_by:
        details["set"] = told_by
    event = AuditEvent(
        kind=AuditKind.SUBJECT_REVOKED,
        at=ports.clock.now(),
        subject_id=subject_id,
        details=details,
    )
    await record(ports, event)
