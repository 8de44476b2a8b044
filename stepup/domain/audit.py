"""The events worth recording for good: past participles, never a secret.

Recorded, an event is a link of a chain: it carries the hash of the entry before it, so that nobody
can change, remove, insert or reorder entries unnoticed.
"""

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
    TOKEN_REFRESHED = "token.refreshed"  # noqa: S105  the name of an event
    TOKEN_CONSUMED = "token.consumed"  # noqa: S105  the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  the name of an event
    CODE_REPLAYED = "code.replayed"
    REFRESH_TOKEN_REPLAYED = "refresh_token.replayed"  # noqa: S105  the name of an event
    REFRESH_CONFLICTED = "refresh.conflicted"
    REDEMPTION_CONFLICTED = "redemption.conflicted"
    CONSUMPTION_CONFLICTED = "consumption.conflicted"
    AUTHENTICATOR_ENROLLED = "authenticator.enrolled"
    AUTHENTICATOR_RENAMED = "authenticator.renamed"
    AUTHENTICATOR_REVOKED = "authenticator.revoked"
    SIGN_COUNT_REGRESSED = "authenticator.sign_count_regressed"
    RECOVERY_CODES_GENERATED = "recovery_codes.generated"
    RECOVERY_CODE_USED = "recovery_code.used"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_ACTIVATION_FAILED = "policy.activation_failed"
    POLICY_APPROVAL_WITHDRAWN = "policy.approval_withdrawn"
    POLICY_APPROVED = "policy.approved"
    POLICY_DISCARDED = "policy.discarded"
    POLICY_DRAFTED = "policy.drafted"
    POLICY_EDITED = "policy.edited"
    POLICY_FORCED = "policy.forced"
    POLICY_ROLLED_BACK = "policy.rolled_back"
    POLICY_SCHEDULED = "policy.scheduled"
    POLICY_SHADOWED = "policy.shadowed"
    POLICY_UNSCHEDULED = "policy.unscheduled"
    POLICY_UNSHADOWED = "policy.unshadowed"
    CLIENT_CHANGED = "client.changed"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_ENABLED = "client.enabled"
    CLIENT_REGISTERED = "client.registered"
    CLIENT_SECRET_ROTATED = "client.secret_rotated"  # noqa: S105  the name of an event
    ADMINISTRATOR_APPOINTED = "administrator.appointed"
    ADMINISTRATOR_DISMISSED = "administrator.dismissed"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    KEY_ANNOUNCED = "key.announced"
    KEY_ACTIVATED = "key.activated"
    KEY_RETIRED = "key.retired"
    KEY_REMOVED = "key.removed"
    KEY_REVOKED = "key.revoked"
    REVOCATION_MADE = "revocation.made"
    SUBJECT_REVOKED = "subject.revoked"
    STATE_LOST = "state.lost"
    AUDIT_LOG_ADOPTED = "audit_log.adopted"


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded fact. `details` holds names, levels and digests; never codes or tokens."""

    kind: AuditKind
    at: datetime
    client_id: ClientId | None = None
    subject_id: SubjectId | None = None
    action: ActionName | None = None
    challenge_id: ChallengeId | None = None
    details: dict[str, str | int | bool | None] = {}


class ChainLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry stands in the chain; positions begin with 1 and have no gaps."""

    position: int
    previous: bytes
    hash: bytes


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it lies in the log: read for proofs and exports, whatever release wrote it.

    `seq` is the order of writing. Without a link it was written by a release that had no chain,
    or by somebody who has no key.
    """

    seq: int
    entry_id: str
    kind: str
    at: datetime
    client_id: str | None
    subject_id: str | None
    action: str | None
    challenge_id: str | None
    details: object
    link: ChainLink | None


# What can happen once, whoever says it how often: a repeated attempt, an instance that died
# between two steps and was asked again.
_ONCE_PER_CHALLENGE = frozenset(
    {AuditKind.CHALLENGE_OPENED, AuditKind.CHALLENGE_VERIFIED, AuditKind.CHALLENGE_CANCELLED}
)
_ONCE_PER_TOKEN = frozenset(
    {
        AuditKind.TOKEN_ISSUED,
        AuditKind.TOKEN_REFRESHED,
        AuditKind.TOKEN_CONSUMED,
        AuditKind.REFRESH_CONFLICTED,
        AuditKind.REDEMPTION_CONFLICTED,
        AuditKind.CONSUMPTION_CONFLICTED,
    }
)


def identity_of(event: AuditEvent) -> str | None:
    """Compute the one entry identifier of what happens once; None for what may happen again.

    Two entries with one identity are one fact, and the log keeps the first.
    """
    if event.kind in _ONCE_PER_CHALLENGE and event.challenge_id is not None:
        return f"{event.kind}:{event.challenge_id}"
    if event.kind in _ONCE_PER_TOKEN and isinstance(event.details.get("jti"), str):
        return f"{event.kind}:{event.details['jti']}"
    if event.kind is AuditKind.SUBJECT_REVOKED and isinstance(event.details.get("set"), str):
        return f"{event.kind}:{event.details['set']}"
    if event.kind is AuditKind.STATE_LOST:
        return f"{event.kind}:{event.details['generation']}"
    return None
