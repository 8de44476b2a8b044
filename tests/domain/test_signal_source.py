from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.domain import signal_source
from stepup.domain.assurance import DEFAULT_LADDER, Acr
from stepup.domain.audit import AuditKind, AuditRecord
from stepup.domain.authenticator import RecoveryCodes, TotpSecret, WebAuthnCredential
from stepup.domain.ids import AuthenticatorId, Subject, TokenId
from stepup.domain.signal_source import Elevation
from stepup.domain.signals import EventType, identifier_of
from tests.support.builders import an_authenticator

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AT = 1795262400
ALICE = Subject("https://idp.example", "alice")
LADDER = DEFAULT_LADDER
AAGUID = "accced6a-63f5-490a-9eea-e59bc1896cfc"


def a_record(kind: AuditKind, **details) -> AuditRecord:
    return AuditRecord(
        seq=1,
        entry_id="entry-1",
        kind=kind,
        at=NOON,
        client_id="bank",
        subject_id=ALICE.id,
        action=None,
        challenge_id=None,
        details=details,
        link=None,
    )


def an_elevation(
    token_id: str, acr: str = "phr", given_by: tuple[str, ...] | None = None
) -> Elevation:
    return Elevation(
        token_id=TokenId(token_id),
        subject_id=ALICE.id,
        acr=Acr(acr),
        until=NOON + timedelta(minutes=5),
        authenticators=given_by,
    )


def a_passkey(*transports: str):
    credential = WebAuthnCredential(
        credential_id=b"1", public_key=b"2", transports=transports, aaguid=AAGUID
    )
    return an_authenticator(credential, subject=ALICE)


def test_an_issued_token_begins_an_elevation():
    issued = a_record(AuditKind.TOKEN_ISSUED, jti="t1", acr="phr", expires_at=AT + 300)
    assert signal_source.begun(issued) == an_elevation("t1")


@pytest.mark.parametrize(
    "record",
    [
        a_record(AuditKind.TOKEN_ISSUED, jti="t1", acr="phr"),
        a_record(AuditKind.TOKEN_CONSUMED, jti="t1", acr="phr", expires_at=AT),
        msgspec.structs.replace(
            a_record(AuditKind.TOKEN_ISSUED, jti="t1", acr="phr", expires_at=AT), subject_id=None
        ),
    ],
)
def test_nothing_else_does(record):
    assert signal_source.begun(record) is None


@pytest.mark.parametrize(
    ("kind", "ended"),
    [
        (AuditKind.TOKEN_CONSUMED, "t1"),
        (AuditKind.TOKEN_REVOKED, "t1"),
        (AuditKind.CODE_REPLAYED, None),
        (AuditKind.TOKEN_REFRESHED, None),
        (AuditKind.TOKEN_ISSUED, None),
        (AuditKind.CONSUMPTION_CONFLICTED, None),
    ],
)
def test_which_records_end_a_token(kind, ended):
    assert signal_source.ended_token(a_record(kind, jti="t1")) == ended


@pytest.mark.parametrize(
    ("kind", "details", "ended"),
    [
        (AuditKind.CODE_REPLAYED, {"jti": "r1.c.t1"}, True),
        (AuditKind.REFRESH_TOKEN_REPLAYED, {"count": 2}, True),
        (AuditKind.REDEMPTION_CONFLICTED, {"jti": "r1.c.t1"}, True),
        (AuditKind.REFRESH_CONFLICTED, {"jti": "r1.c.t1"}, True),
        (AuditKind.REVOCATION_MADE, {"what": "grant", "value": "r1.c"}, True),
        (AuditKind.REVOCATION_MADE, {"what": "client", "value": "bank"}, False),
        (AuditKind.TOKEN_REVOKED, {}, True),
        (AuditKind.TOKEN_REVOKED, {"jti": "r1.c.t1"}, False),
        (AuditKind.CHALLENGE_VERIFIED, {}, False),
    ],
)
def test_which_records_end_all_that_a_ceremony_gave(kind, details, ended):
    record = msgspec.structs.replace(a_record(kind, **details), challenge_id="r1.c")
    assert signal_source.ended_grant(record) == ("r1.c" if ended else None)
    assert signal_source.ended_grant(a_record(kind, **details)) is None


def test_an_administrator_ends_one_token():
    made = a_record(AuditKind.REVOCATION_MADE, what="token", value="t1")
    assert signal_source.ended_token(made) == "t1"


def test_a_refreshed_token_goes_on():
    refreshed = a_record(AuditKind.TOKEN_REFRESHED, jti="t1", acr="phr", expires_at=AT + 300)
    assert signal_source.begun(refreshed) == an_elevation("t1")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        pytest.param([], ["phr"], ("base", "phr", "increase"), id="the first"),
        pytest.param(["phr"], [], ("phr", "base", "decrease"), id="the last ends"),
        pytest.param(
            ["urn:stepup:acr:2"],
            ["urn:stepup:acr:2", "phr"],
            ("urn:stepup:acr:2", "phr", "increase"),
            id="a higher one",
        ),
        pytest.param(["phr"], ["phr", "urn:stepup:acr:1"], None, id="a lower one beside it"),
        pytest.param(["phr", "phr"], ["phr"], None, id="one of two ends"),
        pytest.param([], ["gone"], None, id="a level that the ladder lost"),
    ],
)
def test_caep_3_4_tells_when_the_highest_level_changes(before, after, change):
    signal = signal_source.level_change(
        "entry-1",
        ALICE,
        LADDER,
        NOON,
        before=[an_elevation(str(n), acr) for n, acr in enumerate(before)],
        after=[an_elevation(str(n), acr) for n, acr in enumerate(after)],
    )
    if change is None:
        assert signal is None
        return
    previous, current, direction = change
    assert signal.type is EventType.ASSURANCE_LEVEL_CHANGE
    assert signal.sub_id == identifier_of(ALICE)
    assert signal.transaction == "entry-1"
    assert signal.payload == {
        "namespace": "custom",
        "current_level": current,
        "previous_level": previous,
        "change_direction": direction,
        "event_timestamp": AT,
        "initiating_entity": "user" if direction == "increase" else "system",
    }


@pytest.mark.parametrize(
    ("authenticator", "kind"),
    [
        (a_passkey("internal", "hybrid"), "fido2-platform"),
        (a_passkey("usb", "nfc"), "fido2-roaming"),
        (a_passkey(), "fido2-roaming"),
        (an_authenticator(TotpSecret(secret=b"x"), subject=ALICE), "app"),
        (an_authenticator(RecoveryCodes(digests=()), subject=ALICE), "recovery-codes"),
    ],
)
def test_caep_3_3_names_the_type_of_a_credential(authenticator, kind):
    assert signal_source.credential_type(authenticator) == kind


def test_caep_3_3_a_credential_was_created():
    passkey = a_passkey("usb")
    enrolled = a_record(
        AuditKind.AUTHENTICATOR_ENROLLED, authenticator=passkey.id, method="webauthn", by="subject"
    )
    signal = signal_source.credential_change(enrolled, ALICE, [passkey])
    assert signal.payload == {
        "credential_type": "fido2-roaming",
        "change_type": "create",
        "friendly_name": passkey.name,
        "fido2_aaguid": AAGUID,
        "event_timestamp": AT,
        "initiating_entity": "user",
    }


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        pytest.param(
            AuditKind.AUTHENTICATOR_REVOKED,
            {"credential_type": "fido2-platform"},
            ("fido2-platform", "delete", "user"),
            id="the subject removed it",
        ),
        pytest.param(
            AuditKind.AUTHENTICATOR_REVOKED,
            {"method": "totp", "by": "administrator"},
            ("app", "revoke", "admin"),
            id="an administrator did",
        ),
        pytest.param(
            AuditKind.AUTHENTICATOR_ENROLLED,
            {"method": "totp", "by": "key:1"},
            ("app", "create", "admin"),
            id="provisioned, and gone again",
        ),
        pytest.param(
            AuditKind.AUTHENTICATOR_RENAMED,
            {"method": "webauthn"},
            ("fido2-roaming", "update", "user"),
            id="renamed, and gone again",
        ),
        pytest.param(
            AuditKind.RECOVERY_CODES_GENERATED,
            {"count": 10},
            ("recovery-codes", "create", "user"),
            id="recovery codes",
        ),
    ],
)
def test_caep_3_3_what_changed_and_who_did_it(kind, details, expected):
    record = a_record(kind, authenticator=AuthenticatorId("gone"), **details)
    payload = signal_source.credential_change(record, ALICE, []).payload
    told = (payload["credential_type"], payload["change_type"], payload["initiating_entity"])
    assert told == expected


def test_caep_3_1_a_session_was_revoked():
    signal = signal_source.session_revoked(a_record(AuditKind.SUBJECT_REVOKED, by="key:1"), ALICE)
    assert signal.type is EventType.SESSION_REVOKED
    assert signal.payload == {"event_timestamp": AT, "initiating_entity": "admin"}


def test_attack_an_event_that_goes_round_for_ever():
    heard = a_record(AuditKind.SUBJECT_REVOKED, by="signal")
    assert signal_source.session_revoked(heard, ALICE) is None
    living = [an_elevation("t1")]
    assert signal_source.ended_with(heard, living) == living


def test_most_of_the_log_is_nobodys_business():
    for kind in set(AuditKind) - {
        AuditKind.AUTHENTICATOR_ENROLLED,
        AuditKind.AUTHENTICATOR_RENAMED,
        AuditKind.AUTHENTICATOR_REVOKED,
        AuditKind.RECOVERY_CODES_GENERATED,
        AuditKind.SUBJECT_REVOKED,
    }:
        record = a_record(kind, jti="t1")
        assert signal_source.credential_change(record, ALICE, []) is None
        assert signal_source.session_revoked(record, ALICE) is None
        assert not signal_source.ended_with(record, [an_elevation("t1")])


@pytest.mark.parametrize(
    ("kind", "details", "ended"),
    [
        (AuditKind.SUBJECT_REVOKED, {}, ["app", "both", "key", "unknown"]),
        (AuditKind.AUTHENTICATOR_REVOKED, {"authenticator": "a1"}, ["app", "both", "unknown"]),
        (AuditKind.AUTHENTICATOR_REVOKED, {"authenticator": "a3"}, ["unknown"]),
        (
            AuditKind.REVOCATION_MADE,
            {"what": "authenticator", "value": "k1"},
            ["both", "key", "unknown"],
        ),
        (AuditKind.REVOCATION_MADE, {"what": "client", "value": "k1"}, []),
        (AuditKind.AUTHENTICATOR_RENAMED, {"authenticator": "a1"}, []),
    ],
)
def test_what_ends_with_an_authenticator_is_what_it_gave(kind, details, ended):
    living = [
        an_elevation("app", given_by=("a1",)),
        an_elevation("both", given_by=("a1", "k1")),
        an_elevation("key", given_by=("k1",)),
        an_elevation("unknown", given_by=None),
    ]
    over = signal_source.ended_with(a_record(kind, **details), living)
    assert [each.token_id for each in over] == ended


@pytest.mark.parametrize(("said", "noted"), [("a1 k1", ("a1", "k1")), ("", ())])
def test_a_token_says_which_authenticators_gave_it(said, noted):
    issued = a_record(
        AuditKind.TOKEN_ISSUED, jti="t1", acr="phr", expires_at=AT + 300, authenticators=said
    )
    assert signal_source.begun(issued) == an_elevation("t1", given_by=noted)
