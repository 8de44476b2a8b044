"""End all that a subject has proved, on somebody's word, and say so in the log.

Who receives our security events is told from there (`session-revoked`).
"""

from stepup.domain.audit import AuditEvent, AuditKind
from datetime import datetime

from stepup.domain.audit import AuditEvent, AuditKind, identity_of
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from stepup.domain.ids import SubjectId
from stepup.ports import Ports
from stepup.usecases.revoke import record, revoke_subject


async def end_subject(
    ports: Ports,
    subject_id: SubjectId,
    *,
    up_to: datetime | None = None,
    **details: str | int | bool,
) -> None:
    """Revoke what a subject has proved up to a moment, by default to now, and record `by` whom.

    Again is harmless; with the name of a `set` it is recorded once.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await revoke_subject(ports, subject_id, up_to)
    event = AuditEvent(
        kind=AuditKind.SUBJECT_REVOKED,
        at=ports.clock.now(),
        subject_id=subject_id,
        details=dict(details),
    )
    await record(ports, event)
    try:
        await ports.state.outbox.append(AuditRecorded(event=event))
    except (DependencyUnavailableError, OutcomeUnknownError):
        # With Redis away the revocation has a row already, so its record can have one.
        async with ports.database.transaction() as stores:
            await stores.audit.append(identity_of(event) or ports.entropy.token(16), event)
