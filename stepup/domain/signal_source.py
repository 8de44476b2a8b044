"""The one place where what happened here becomes security events for others.

Everything is read from the audit log, so an event exists when the record of its fact does, and no
use case knows of signals. The level of a subject is the highest one that a living token of it
proves; when none does any more it is `base`, the level of the base login, of which we know nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from stepup.domain.assurance import Acr, Ladder, Method
from stepup.domain.audit import AuditKind, AuditRecord
from stepup.domain.authenticator import Authenticator, WebAuthnCredential
from stepup.domain.ids import AuthenticatorId, ChallengeId, Subject, SubjectId, TokenId
from stepup.domain.revocation import Revoked
from stepup.domain.signals import EventType, Initiator, Signal, caep_payload, identifier_of

BASE = Acr("base")
NAMESPACE = "custom"
"""Ours are the operator's own levels (CAEP 1.0 section 3.4); nobody has said which AAL they are."""

BY_SIGNAL = "signal"
"""Who ended what a subject has proved, when another issuer's event did."""

_OUR_TYPES: Mapping[str, str] = {
    Method.TOTP: "app",
    Method.HOTP: "app",
    Method.SMS: "phone-sms",
    Method.EMAIL: "email",
    # No registered type; other values are for receivers that know them (CAEP 1.0 section 3.3).
    Method.RECOVERY_CODE: "recovery-codes",
}
_FIDO = "fido2-roaming"
_FIDO_PLATFORM = "fido2-platform"

# Whatever a token proves ends with it; whatever a subject has proved ends with these.
_BEGINNINGS = frozenset({AuditKind.TOKEN_ISSUED, AuditKind.TOKEN_REFRESHED})
_TOKEN_ENDS = frozenset({AuditKind.TOKEN_CONSUMED, AuditKind.TOKEN_REVOKED})
_GRANT_ENDS = frozenset(
    {
        AuditKind.CODE_REPLAYED,
        AuditKind.REFRESH_TOKEN_REPLAYED,
        AuditKind.REDEMPTION_CONFLICTED,
        AuditKind.REFRESH_CONFLICTED,
    }
)
_CREDENTIAL_CHANGES: Mapping[str, str] = {
    AuditKind.AUTHENTICATOR_ENROLLED: "create",
    AuditKind.RECOVERY_CODES_GENERATED: "create",
    AuditKind.AUTHENTICATOR_RENAMED: "update",
    AuditKind.AUTHENTICATOR_REVOKED: "delete",
}


class Elevation(msgspec.Struct, frozen=True, kw_only=True):
    """What one living token of a subject proves, by which authenticators, and until when.

    They are None where nobody noted them: any of the subject's may be among them.
    """

    token_id: TokenId
    subject_id: SubjectId
    acr: Acr
    until: datetime
    authenticators: tuple[AuthenticatorId, ...] | None = None


def begun(record: AuditRecord) -> Elevation | None:
    """Return the elevation that a record tells the beginning of."""
    if record.kind not in _BEGINNINGS or record.subject_id is None:
        return None
    match record.details:
        case {"jti": str(jti), "acr": str(acr), "expires_at": int(until)}:
            return Elevation(
                token_id=TokenId(jti),
                subject_id=SubjectId(record.subject_id),
                acr=Acr(acr),
                until=datetime.fromtimestamp(until, UTC),
                authenticators=_givers(record),
            )
        case _:  # of a release that did not say how long a token lives
            return None


def ended_token(record: AuditRecord) -> TokenId | None:
    """Return the token that a record tells the end of."""
    match record.details:
        case {"jti": str(jti)} if record.kind in _TOKEN_ENDS:
            return TokenId(jti)
        case {"what": Revoked.TOKEN, "value": str(jti)} if record.kind == AuditKind.REVOCATION_MADE:
            return TokenId(jti)
        case _:
            return None


def ended_grant(record: AuditRecord) -> ChallengeId | None:
    """Return the ceremony of which a record tells that all it gave has ended."""
    if record.challenge_id is None:
        return None
    is_over = record.kind in _GRANT_ENDS or (
        record.kind == AuditKind.REVOCATION_MADE and _detail(record, "what") == Revoked.GRANT
    )
    # A revoked refresh token has no jti: all that its ceremony gave ends with it (RFC 7009).
    is_refresh = record.kind == AuditKind.TOKEN_REVOKED and _detail(record, "jti") is None
    return ChallengeId(record.challenge_id) if is_over or is_refresh else None


def is_about_a_subject(record: AuditRecord) -> bool:
    """Say whether a record tells of a credential or of a lock; of most nobody is told."""
    return (
        record.kind in _CREDENTIAL_CHANGES
        or revokes_sessions(record)
        or _ended_authenticator(record) is not None
    )


def ended_with(record: AuditRecord, living: Iterable[Elevation]) -> list[Elevation]:
    """Return what of a subject's elevations ended with what is recorded of it.

    All of them with a lock; with an authenticator what it had a part in, or may have had.
    """
    if revokes_sessions(record):
        return list(living)
    gone = _ended_authenticator(record)
    if gone is None:
        return []
    return [each for each in living if each.authenticators is None or gone in each.authenticators]


def revokes_sessions(record: AuditRecord) -> bool:
    """Say whether somebody ended all that a subject has proved: locked it, or lost trust in it."""
    return record.kind == AuditKind.SUBJECT_REVOKED


def level_change(
    record_id: str,
    subject: Subject,
    ladder: Ladder,
    at: datetime,
    *,
    before: Iterable[Elevation],
    after: Iterable[Elevation],
) -> Signal | None:
    """Tell that a subject's level changed; None when it did not (CAEP 1.0 section 3.4)."""
    previous, current = _highest(ladder, before), _highest(ladder, after)
    if previous == current:
        return None
    rises = ladder.rank(current) > ladder.rank(previous)
    payload = caep_payload(
        at,
        Initiator.USER if rises else Initiator.SYSTEM,
        namespace=NAMESPACE,
        current_level=current,
        previous_level=previous,
        change_direction="increase" if rises else "decrease",
    )
    return _signal(EventType.ASSURANCE_LEVEL_CHANGE, payload, subject, record_id)


def credential_change(
    record: AuditRecord, subject: Subject, enrolled: Sequence[Authenticator]
) -> Signal | None:
    """Tell that a way to authenticate came, changed or went (CAEP 1.0 section 3.3).

    `enrolled` is what the subject has by now: one that is gone again has no name any more.
    """
    change = _CREDENTIAL_CHANGES.get(record.kind)
    if change is None:
        return None
    by_subject = _detail(record, "by") in {None, "subject"}
    if change == "delete" and not by_subject:
        change = "revoke"
    found = next((a for a in enrolled if a.id == _detail(record, "authenticator")), None)
    payload = caep_payload(
        record.at,
        Initiator.USER if by_subject else Initiator.ADMIN,
        credential_type=_type_of(record, found),
        change_type=change,
        friendly_name=None if found is None else found.name,
        fido2_aaguid=_aaguid_of(found),
    )
    return _signal(EventType.CREDENTIAL_CHANGE, payload, subject, record.entry_id)


def session_revoked(record: AuditRecord, subject: Subject) -> Signal | None:
    """Tell that nothing a subject has proved counts any more (CAEP 1.0 section 3.1)."""
    if not revokes_sessions(record):
        return None
    # What another issuer told us it tells others by itself; told on from here to somebody who tells
    # us again, it would go round for ever.
    if _detail(record, "by") == BY_SIGNAL:
        return None
    payload = caep_payload(record.at, Initiator.ADMIN)
    return _signal(EventType.SESSION_REVOKED, payload, subject, record.entry_id)


def credential_type(authenticator: Authenticator) -> str:
    """Name the kind of an authenticator in the words of CAEP 1.0 section 3.3."""
    credential = authenticator.credential
    if not isinstance(credential, WebAuthnCredential):
        return _OUR_TYPES[authenticator.method]
    # WebAuthn Level 3 section 5.8.4: `internal` is the platform's own; a synced passkey may name
    # others besides.
    return _FIDO_PLATFORM if "internal" in credential.transports else _FIDO


def _ended_authenticator(record: AuditRecord) -> str | None:
    if record.kind == AuditKind.AUTHENTICATOR_REVOKED:
        return _detail(record, "authenticator")
    if record.kind == AuditKind.REVOCATION_MADE:
        is_one = _detail(record, "what") == Revoked.AUTHENTICATOR
        return _detail(record, "value") if is_one else None
    return None


def _givers(record: AuditRecord) -> tuple[AuthenticatorId, ...] | None:
    given_by = _detail(record, "authenticators")
    if given_by is None:  # of a release that did not say it
        return None
    return tuple(AuthenticatorId(each) for each in given_by.split())


def _signal(
    kind: EventType, payload: Mapping[str, object], subject: Subject, record_id: str
) -> Signal:
    return Signal(type=kind, payload=payload, sub_id=identifier_of(subject), transaction=record_id)


def _type_of(record: AuditRecord, found: Authenticator | None) -> str:
    if found is not None:
        return credential_type(found)
    if record.kind == AuditKind.RECOVERY_CODES_GENERATED:
        return _OUR_TYPES[Method.RECOVERY_CODE]
    told = _detail(record, "credential_type")
    if told is not None:
        return told
    return _OUR_TYPES.get(_detail(record, "method") or "", _FIDO)


def _aaguid_of(found: Authenticator | None) -> str | None:
    if found is None or not isinstance(found.credential, WebAuthnCredential):
        return None
    return found.credential.aaguid


def _highest(ladder: Ladder, elevations: Iterable[Elevation]) -> Acr:
    return ladder.strongest(BASE, *(each.acr for each in elevations))


def _detail(record: AuditRecord, name: str) -> str | None:
    value = record.details.get(name) if isinstance(record.details, dict) else None
    return value if isinstance(value, str) else None
