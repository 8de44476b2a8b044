"""The events worth recording for good: past participles, never a secret."""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.ids import ActionName, ChallengeId, ClientId, SubjectId


class AuditKind(StrEnum):
    """What happened."""

    CHALLENGE_OPENED = "challenge.opened"
    CHALLENGE_ADVANCED = "challenge.advanced"
    CHALLENGE_VERIFIED = "challenge.verified"
    CHALLENGE_FAILED = "challenge.failed"
    CHALLENGE_CANCELLED = "challenge.cancelled"
    TOKEN_ISSUED = "token.issued"  # noqa: S105  the name of an event
    TOKEN_CONSUMED = "token.consumed"  # noqa: S105  the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  the name of an event
    CODE_REPLAYED = "code.replayed"
    AUTHENTICATOR_ENROLLED = "authenticator.enrolled"
    AUTHENTICATOR_RENAMED = "authenticator.renamed"
    AUTHENTICATOR_REVOKED = "authenticator.revoked"
    SIGN_COUNT_REGRESSED = "authenticator.sign_count_regressed"
    RECOVERY_CODES_GENERATED = "recovery_codes.generated"
    RECOVERY_CODE_USED = "recovery_code.used"
    POLICY_ACTIVATED = "policy.activated"
    CLIENT_CHANGED = "client.changed"


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded fact. `details` holds names, levels and digests; never codes or tokens."""

    kind: AuditKind
    at: datetime
    client_id: ClientId | None = None
    subject_id: SubjectId | None = None
    action: ActionName | None = None
    challenge_id: ChallengeId | None = None
    details: dict[str, str | int | bool | None] = {}
