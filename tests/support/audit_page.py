"""docs/audit.md: every kind of event, and what each of its details means."""

from collections.abc import Mapping
from typing import NamedTuple

from stepup.cli.audit_rows import COLUMNS
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.usecases.audit import Fault

_FALLBACK_FOR = "level that the policy asks for, when a fallback was taken"
_JTI = "identifier of the token"
_METHOD = "method that was answered with: webauthn, totp or recovery_code"
_AUTHENTICATOR = "identifier of the authenticator"
_KID = "name of the key"
_OF_KEY = {
    "kid": _KID,
    "use": "what it signs",
    "algorithm": "with what",
    "region": "for which region",
}
_API_KEY = "identifier of the key, not its secret"
_DIGEST = "SHA-256 of the text"
_ADMINISTRATOR = "identifier of the administrator"
_BY_WHOM = {"by": "identifier of the administrator, or `host` and its user"}
_OF_DRAFT = {
    "draft": "number of the draft",
    "by": _ADMINISTRATOR,
    "digest": _DIGEST,
}
_BY = "`subject`, or the identifier of the administrator; absent if the subject removed it itself"


class Told(NamedTuple):
    """What an event of a kind says."""

    text: str
    details: Mapping[str, str]
    once_per: str = ""


TOLD: Mapping[AuditKind, Told] = {
    AuditKind.CHALLENGE_OPENED: Told(
        "A subject was asked to authenticate again.",
        {"acr": "level that was asked for", "fallback_for": _FALLBACK_FOR},
        "challenge",
    ),
    AuditKind.CHALLENGE_ADVANCED: Told(
        "One of several answers was right; the level is not reached yet.",
        {
            "method": _METHOD,
            "authenticator": _AUTHENTICATOR,
            "seconds": "time since the challenge was opened",
        },
    ),
    AuditKind.CHALLENGE_VERIFIED: Told(
        "The subject reached the level.",
        {
            "method": f"last {_METHOD}; session for what its browser had proved before",
            "authenticator": _AUTHENTICATOR,
            "seconds": "time since the challenge was opened",
            "session": "challenge that had proved it, when this one asked nothing",
        },
        "challenge",
    ),
    AuditKind.CHALLENGE_FAILED: Told(
        "An answer was wrong.",
        {
            "method": _METHOD,
            "reason": (
                "wrong_code (also an old or a used one), below_floor (right, but perhaps used before "
                "data was lost), retired (the authenticator was removed), "
                "sign_count_regressed, or what was wrong with a passkey's answer"
            ),
        },
    ),
    AuditKind.CHALLENGE_CANCELLED: Told(
        "The subject ended the challenge without an answer.",
        {"reported": "true when the subject said that it never asked for this"},
        "challenge",
    ),
    AuditKind.TOKEN_ISSUED: Told(
        "An elevated token was granted.",
        {
            "jti": _JTI,
            "acr": "level that it proves",
            "authenticators": "those that passed the ceremony, where they are known",
            "expires_at": "when it expires, in seconds since 1970",
            "fallback_for": _FALLBACK_FOR,
        },
        "token",
    ),
    AuditKind.TOKEN_REFRESHED: Told(
        "A refresh token was used and an elevated token given for it.",
        {
            "jti": _JTI,
            "acr": "level that it proves, as the ceremony did",
            "authenticators": "those that passed the ceremony, where they are known",
            "fallback_for": _FALLBACK_FOR,
            "expires_at": "when the token expires, in seconds since 1970",
        },
        "token",
    ),
    AuditKind.TOKEN_CONSUMED: Told("A once-only token was used up.", {"jti": _JTI}, "token"),
    AuditKind.TOKEN_REVOKED: Told(
        "A token was revoked by a client, or a refresh token with all that its ceremony gave.",
        {
            "jti": f"{_JTI}; absent for a refresh token",
            "count": "of a refresh token: how many of the ceremony were used before it",
        },
    ),
    AuditKind.CODE_REPLAYED: Told(
        "A code came a second time, from another attempt; the token it gave was revoked.",
        {"jti": _JTI},
    ),
    AuditKind.REFRESH_TOKEN_REPLAYED: Told(
        "A refresh token came a second time, from another attempt; all that its ceremony gave was"
        " revoked.",
        {"count": "how many refresh tokens of the ceremony were used before it"},
    ),
    AuditKind.REFRESH_CONFLICTED: Told(
        "A refresh token was granted that the ledger knows to be another attempt's: state was"
        " lost. All that its ceremony gave was revoked, whoever has it.",
        {"jti": _JTI},
        "token",
    ),
    AuditKind.REDEMPTION_CONFLICTED: Told(
        "A code was granted that the ledger knows to be another attempt's: state was lost. "
        "The token was revoked, whoever has it.",
        {"jti": _JTI},
        "token",
    ),
    AuditKind.CONSUMPTION_CONFLICTED: Told(
        "A once-only token was about to be used that the ledger knows to be used up, "
        "or was used twice while PostgreSQL was away: state was lost.",
        {"jti": _JTI},
        "token",
    ),
    AuditKind.AUTHENTICATOR_ENROLLED: Told(
        "An authenticator was enrolled.",
        {"authenticator": _AUTHENTICATOR, "method": "its method", "by": _BY},
    ),
    AuditKind.AUTHENTICATOR_RENAMED: Told(
        "A subject renamed an authenticator.", {"authenticator": _AUTHENTICATOR}
    ),
    AuditKind.AUTHENTICATOR_REVOKED: Told(
        "An authenticator was removed.",
        {
            "authenticator": _AUTHENTICATOR,
            "by": _BY,
            "method": "how it answered",
            "credential_type": "its kind, in the words of CAEP",
        },
    ),
    AuditKind.SIGN_COUNT_REGRESSED: Told(
        "A passkey's signature counter went back: there may be a copy of it.",
        {"authenticator": _AUTHENTICATOR},
    ),
    AuditKind.RECOVERY_CODES_GENERATED: Told(
        "A subject made new recovery codes; older ones are void.", {"count": "how many"}
    ),
    AuditKind.RECOVERY_CODE_USED: Told(
        "A recovery code was used up, in a challenge or to prove that the codes were kept.",
        {
            "authenticator": "identifier of the set of codes",
            "left": "how many codes are left",
            "unmatched": (
                "true when the set did not have the code any more by the time PostgreSQL was told"
            ),
        },
    ),
    AuditKind.POLICY_ACTIVATED: Told(
        "A policy became active.",
        {
            "version": "its number",
            "author": "who activated it",
            "digest": _DIGEST,
            "base": "number of the version that it replaced",
            "draft": "number of the draft that it comes from, if it comes from one",
            "by": "identifier of who activated it, or had it scheduled",
            "approvers": "identifiers of those whose approvals counted",
            "needed": "how many approvals were asked for",
        },
        "version",
    ),
    AuditKind.POLICY_ACTIVATION_FAILED: Told(
        "A draft did not become active at its time; it is open again.",
        {**_OF_DRAFT, "reason": "code of the error"},
    ),
    AuditKind.POLICY_APPROVAL_WITHDRAWN: Told("An approval was taken back.", _OF_DRAFT),
    AuditKind.POLICY_APPROVED: Told(
        "Somebody approved a draft.", {**_OF_DRAFT, "base": "the version that it is to replace"}
    ),
    AuditKind.POLICY_DISCARDED: Told("A draft was discarded.", _OF_DRAFT),
    AuditKind.POLICY_DRAFTED: Told(
        "A draft was begun.",
        {
            **_OF_DRAFT,
            "base": "the version that it is to replace",
            "copy_of": "number of the draft that it was copied from, if it was",
        },
    ),
    AuditKind.POLICY_EDITED: Told(
        "Text, name or base of a draft was changed.",
        {
            **_OF_DRAFT,
            "base": "the version that it is to replace",
            "voided": "how many approvals became void by it",
        },
    ),
    AuditKind.POLICY_FORCED: Told(
        "An operator activated a policy on the host without the approvals that it needed.",
        {"version": "its number", "author": "who did it", "reason": "as the operator gave it"},
    ),
    AuditKind.POLICY_ROLLED_BACK: Told(
        "An earlier version became active again, as a new one.",
        {
            "version": "number of the new version",
            "rolled_back_from": "number of the version whose text it has",
            "by": _ADMINISTRATOR,
            "digest": _DIGEST,
        },
    ),
    AuditKind.POLICY_SCHEDULED: Told(
        "A draft was scheduled.", {**_OF_DRAFT, "at": "when it is to become active"}
    ),
    AuditKind.POLICY_SHADOWED: Told(
        "A draft began to be evaluated beside the active policy, to no effect.", _OF_DRAFT
    ),
    AuditKind.POLICY_UNSCHEDULED: Told("A schedule was taken back.", _OF_DRAFT),
    AuditKind.POLICY_UNSHADOWED: Told("A draft ceased to be evaluated as a shadow.", _OF_DRAFT),
    AuditKind.CLIENT_CHANGED: Told("A client was changed, or applied from a file.", _BY_WHOM),
    AuditKind.CLIENT_DISABLED: Told(
        "A client was taken out of service, and its tokens ended.", _BY_WHOM
    ),
    AuditKind.CLIENT_ENABLED: Told("A client was put into service again.", _BY_WHOM),
    AuditKind.CLIENT_REGISTERED: Told("A client was registered.", _BY_WHOM),
    AuditKind.CLIENT_SECRET_ROTATED: Told("A client got a new secret.", _BY_WHOM),
    AuditKind.ADMINISTRATOR_APPOINTED: Told(
        "A subject may administer, or may do other things than before.",
        {"scopes": "what it may", "by": "who said so: the host's operator"},
    ),
    AuditKind.ADMINISTRATOR_DISMISSED: Told(
        "A subject administers no more.", {"by": "who said so: the host's operator"}
    ),
    AuditKind.API_KEY_CREATED: Told(
        "A pipeline was given a key.",
        {
            "key": _API_KEY,
            "name": "name that was given to it",
            "scopes": "what it may",
            "by": "who made it: the host's operator",
        },
    ),
    AuditKind.API_KEY_REVOKED: Told(
        "A pipeline's key was taken away.",
        {"key": _API_KEY, "by": "who said so: the host's operator"},
    ),
    AuditKind.KEY_ANNOUNCED: Told("A signing key was made and published.", _OF_KEY),
    AuditKind.KEY_ACTIVATED: Told("A signing key began to sign.", _OF_KEY),
    AuditKind.KEY_RETIRED: Told(
        "A signing key ceased to sign, or was published again after its removal.", _OF_KEY
    ),
    AuditKind.KEY_REMOVED: Told("A signing key left the key set.", _OF_KEY),
    AuditKind.KEY_REVOKED: Told(
        "A signing key was taken away for good, and all that it signed with it.", _OF_KEY
    ),
    AuditKind.REVOCATION_MADE: Told(
        "An administrator ended tokens, and what else stands on the same.",
        {
            "what": "`token`, `grant`, `client`, `authenticator` or `key`",
            "value": "its identifier",
            "by": "administrator",
            "why": "the reason given",
        },
    ),
    AuditKind.SUBJECT_REVOKED: Told(
        "Everything that a subject had proved ended.",
        {
            "by": "administrator or client, `signal` when another issuer said so",
            "why": "the event that said so, or the reason given",
            "set": "digest of the event's issuer and jti",
        },
    ),
    AuditKind.STATE_LOST: Told(
        "Redis had lost all its data; what can have been used before does not count any more.",
        {"generation": "identifier of the generation of the state that began"},
        "generation",
    ),
    AuditKind.AUDIT_LOG_ADOPTED: Told(
        "The entries just before this one were written without a link and were chained later, by "
        "`stepup audit adopt`: the chain says nothing of the time before.",
        {"count": "how many"},
    ),
}

_COLUMN_TEXTS: Mapping[str, str] = {
    "seq": "order of writing; may have gaps",
    "position": "place in the chain, from 1, without gaps; null outside the chain",
    "at": "when it happened, UTC",
    "kind": "what happened, see below",
    "client_id": "the client that asked",
    "subject_id": "the subject, as a digest of its issuer and its sub",
    "action": "the action that was approved",
    "challenge_id": "the challenge; a token's jti begins with it",
    "details": "more, by kind",
    "entry_id": "names the entry; computed for what happens once, so that it is there once",
    "previous": "hash of the entry before, 64 zeros in the first",
    "hash": "HMAC-SHA256 over `previous` and the entry",
}

_FAULT_TEXTS: Mapping[Fault, str] = {
    Fault.CHANGED: "the entry is not as it was written, or was put at the end",
    Fault.MISSING: "entries before this one are gone, at the beginning or in the middle",
    Fault.REORDERED: "the entry is authentic, but stands too early",
    Fault.INSERTED: "the entry was put between two authentic ones",
    Fault.TRUNCATED: "the end is gone (only with `--head`)",
    Fault.REPLACED: "another chain has taken the place of the one that was known (only with `--head`)",
}

_INTRODUCTION = """\
# Audit log

What is recorded for good: the table `audit_event`, one row for each event, never a code, a token or
a secret. `stepup audit export` writes it out, `stepup audit verify` proves that nobody changed it
([operations.md](operations.md), [why it is built so](decisions/0013-the-audit-log-is-a-keyed-chain.md)).
Written by `make docs`.
"""


def undescribed(event: AuditEvent) -> set[str]:
    """Return the details of an event that the page says nothing about."""
    return set(event.details) - set(TOLD[event.kind].details)


def audit_page() -> str:
    """Return docs/audit.md."""
    return "\n".join(
        [
            _INTRODUCTION,
            "## Columns",
            "",
            "| column | holds |",
            "|---|---|",
            *(f"| `{name}` | {_COLUMN_TEXTS[name]} |" for name in COLUMNS),
            "",
            "## Kinds",
            "",
            "| kind | what happened | details | written once for each |",
            "|---|---|---|---|",
            *(_row(kind) for kind in AuditKind),
            "",
            "## What `verify` finds",
            "",
            "| fault | means |",
            "|---|---|",
            *(f"| `{fault}` | {_FAULT_TEXTS[fault]} |" for fault in Fault),
            "",
        ]
    )


def _row(kind: AuditKind) -> str:
    told = TOLD[kind]
    details = "<br>".join(f"`{name}`: {text}" for name, text in told.details.items())
    return f"| `{kind}` | {told.text} | {details} | {told.once_per} |"
