import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.ceremonies import webauthn
from stepup.ceremonies.refusals import Refusal
from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.authenticator import Authenticator, RecoveryCodes
from stepup.domain.errors import SignCountRegressedError, VerificationFailedError
from stepup.domain.ids import Subject
from tests.support.authenticator import Lie, SoftwareAuthenticator, decode, encode
from tests.support.builders import an_authenticator

ORIGIN = "https://stepup.example"
RP_ID = "stepup.example"
ALICE = Subject("https://idp.example", "alice")
HANDLE = webauthn.user_handle(ALICE)
CHALLENGE = bytes(range(32))

ATTACKS = {
    "a registration's client data": (Lie(type="webauthn.create"), Refusal.WRONG_TYPE),
    "wrong origin": (Lie(origin="https://stepup.example.evil.com"), Refusal.ORIGIN),
    "origin with a port": (Lie(origin="https://stepup.example:8443"), Refusal.ORIGIN),
    "origin without TLS": (Lie(origin="http://stepup.example"), Refusal.ORIGIN),
    "origin in capitals": (Lie(origin="https://STEPUP.example"), Refusal.ORIGIN),
    "replayed challenge": (Lie(challenge=b"x" * 32), Refusal.CHALLENGE),
    "shortened challenge": (Lie(challenge=CHALLENGE[:31]), Refusal.CHALLENGE),
    "cross-origin ceremony": (Lie(cross_origin=True), Refusal.CROSS_ORIGIN),
    "top origin": (Lie(top_origin="https://evil.example"), Refusal.TOP_ORIGIN),
    "our own top origin": (Lie(cross_origin=True, top_origin=ORIGIN), Refusal.TOP_ORIGIN),
    "cross origin as text": (Lie(cross_origin="true"), Refusal.MALFORMED),
    "cross origin as number": (Lie(cross_origin=1), Refusal.MALFORMED),
    "top origin as a list": (Lie(top_origin=[ORIGIN]), Refusal.MALFORMED),
    "another relying party": (Lie(rp_id="evil.example"), Refusal.RP_ID),
    "nobody present": (Lie(user_present=False), Refusal.NOT_PRESENT),
    "nobody verified": (Lie(user_verified=False), Refusal.NOT_VERIFIED),
    "BS without BE": (Lie(backed_up=True), Refusal.BACKUP_STATE),
}


def device(**changes: object) -> SoftwareAuthenticator:
    return SoftwareAuthenticator(origin=ORIGIN, **changes)


def enrolled(software: SoftwareAuthenticator, **changes: object) -> Authenticator:
    return an_authenticator(register(software, **changes), subject=ALICE)


def creation_options(*existing: Authenticator) -> dict:
    return webauthn.creation_options(
        rp_id=RP_ID,
        rp_name="Example",
        webauthn_challenge=CHALLENGE,
        user_handle=HANDLE,
        user_name="alice",
        display_name="Alice",
        existing=existing,
    )


def request_options(*authenticators: Authenticator) -> dict:
    return webauthn.request_options(
        rp_id=RP_ID,
        webauthn_challenge=CHALLENGE,
        authenticators=authenticators,
        user_verification="required",
        hints=("security-key",),
    )


def verify_registration(credential: dict, **changes: object):
    expectations = {
        "expected_challenge": CHALLENGE,
        "expected_rp_id": RP_ID,
        "expected_origins": (ORIGIN, "http://127.0.0.1:8000"),
        "require_user_verification": True,
    }
    return webauthn.verify_registration(credential, **expectations | changes)


def register(software: SoftwareAuthenticator, lie: Lie | None = None, **changes: object):
    credential = software.register(creation_options(), lie or Lie())
    return verify_registration(credential, **changes)


def verify(credential: dict, *authenticators: Authenticator, **changes: object):
    expectations = {
        "expected_challenge": CHALLENGE,
        "expected_rp_id": RP_ID,
        "expected_origins": (ORIGIN, "http://127.0.0.1:8000"),
        "authenticators": authenticators,
        "expected_user_handle": HANDLE,
        "require_user_verification": True,
    }
    return webauthn.verify_assertion(credential, **expectations | changes)


def refusal_of(credential: object, *authenticators: Authenticator, **changes: object) -> str:
    with pytest.raises(VerificationFailedError) as caught:
        verify(credential, *authenticators, **changes)
    return caught.value.detail


def refused_registration(credential: object, **changes: object) -> str:
    with pytest.raises(VerificationFailedError) as caught:
        verify_registration(credential, **changes)
    return caught.value.detail


# --- what holds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
@pytest.mark.parametrize("backup_eligible", [True, False])
@pytest.mark.parametrize("user_verified", [True, False])
def test_an_assertion_proves_what_its_flags_say(algorithm, backup_eligible, user_verified):
    software = device(
        algorithm=algorithm,
        backup_eligible=backup_eligible,
        backed_up=backup_eligible,
        user_verified=user_verified,
        aaguid=bytes(range(16)),
    )
    authenticator = enrolled(software, require_user_verification=False)

    verified = verify(
        software.answer(request_options(authenticator)),
        an_authenticator(),
        enrolled(device()),
        authenticator,
        require_user_verification=False,
    )

    assert verified == webauthn.VerifiedAssertion(
        authenticator=authenticator,
        facts=CeremonyFacts(
            method=Method.WEBAUTHN,
            user_verified=user_verified,
            device_bound=not backup_eligible,
            attested=False,
            aaguid="00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
        sign_count=0,
        backed_up=backup_eligible,
    )


def test_attestation_is_the_record_s_to_claim_not_the_response_s():
    software = device()
    record = msgspec.structs.replace(register(software), attested=True)
    authenticator = an_authenticator(record, subject=ALICE)

    assert verify(software.answer(request_options()), authenticator).facts.attested


def test_a_registration_is_recorded_as_the_standard_asks():
    software = device(
        backup_eligible=True, backed_up=True, transports=("hybrid", "internal", "telepathy")
    )

    record = register(software)

    assert record.credential_id == software.credential_id
    assert record.public_key == software.public_key
    assert record.transports == ("hybrid", "internal")
    assert (record.backup_eligible, record.backed_up, record.user_verified) == (True, True, True)
    assert (record.sign_count, record.attested) == (0, False)


def test_attestation_none_counts_as_no_attestation():
    assert register(device()).attested is False


def test_takes_either_of_the_site_s_origins():
    software = device()
    authenticator = enrolled(software)

    credential = software.answer(request_options(), Lie(origin="http://127.0.0.1:8000"))

    assert verify(credential, authenticator)


def test_strips_a_byte_order_mark():
    software = device()
    authenticator = enrolled(software)

    assert verify(software.answer(request_options(), Lie(byte_order_mark=True)), authenticator)
    assert register(device(), Lie(byte_order_mark=True))


def test_leaves_members_it_does_not_know_alone():
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    credential |= {"authenticatorAttachment": "implant", "future": {"x": 1}}
    credential["response"]["publicKeyAlgorithm"] = -7

    assert verify(credential, authenticator)


def test_a_backup_state_may_change_while_eligibility_does_not():
    software = device(backup_eligible=True)
    authenticator = enrolled(software)

    verified = verify(software.answer(request_options(), Lie(backed_up=True)), authenticator)

    assert verified.backed_up


# --- one test per way to fail -------------------------------------------------------------------


@pytest.mark.parametrize(("lie", "reason"), ATTACKS.values(), ids=ATTACKS)
def test_refuses_an_assertion_with(lie, reason):
    software = device()
    authenticator = enrolled(software)

    assert refusal_of(software.answer(request_options(), lie), authenticator) == reason


@pytest.mark.parametrize(("lie", "reason"), ATTACKS.values(), ids=ATTACKS)
def test_refuses_a_registration_with(lie, reason):
    if lie.type is not None:
        lie = Lie(type="webauthn.get")

    assert refused_registration(device().register(creation_options(), lie)) == reason


@pytest.mark.parametrize("was_eligible", [True, False])
def test_refuses_a_flipped_backup_eligibility(was_eligible):
    software = device(backup_eligible=was_eligible)
    authenticator = enrolled(software)

    credential = software.answer(request_options(), Lie(backup_eligible=not was_eligible))

    assert refusal_of(credential, authenticator) == Refusal.BACKUP_ELIGIBILITY


def test_refuses_a_swapped_user_handle():
    software = device()
    authenticator = enrolled(software)
    mallory = webauthn.user_handle(Subject("https://idp.example", "mallory"))

    credential = software.answer(request_options(), Lie(user_handle=mallory))

    assert refusal_of(credential, authenticator) == Refusal.USER_HANDLE


def test_an_imported_passkey_keeps_the_handle_of_the_system_that_registered_it():
    software = device()
    authenticator = enrolled(software)
    software.user_handle = b"theirs"
    record = msgspec.structs.replace(authenticator.credential, user_handle=b"theirs")
    imported = msgspec.structs.replace(authenticator, credential=record)

    assert verify(software.answer(request_options()), imported)
    ours = software.answer(request_options(), Lie(user_handle=HANDLE))
    assert refusal_of(ours, imported) == Refusal.USER_HANDLE
    theirs = software.answer(request_options())
    assert refusal_of(theirs, authenticator) == Refusal.USER_HANDLE


@pytest.mark.parametrize("handle", [None, b""])
def test_needs_no_user_handle_from_a_key_that_keeps_none(handle):
    software = device()
    authenticator = enrolled(software)
    software.user_handle = handle

    assert verify(software.answer(request_options()), authenticator)


def test_refuses_a_credential_that_is_not_among_the_subject_s():
    stranger = device()
    register(stranger)

    credential = stranger.answer(request_options())

    assert refusal_of(credential, enrolled(device())) == Refusal.UNKNOWN_CREDENTIAL
    assert refusal_of(credential) == Refusal.UNKNOWN_CREDENTIAL


def test_refuses_a_stranger_s_signature_under_a_known_credential_id():
    software, stranger = device(), device()
    authenticator = enrolled(software)
    register(stranger)

    credential = stranger.answer(request_options(), Lie(credential_id=software.credential_id))

    assert refusal_of(credential, authenticator) == Refusal.SIGNATURE


@pytest.mark.parametrize("signature", [b"\x00", b"\x30\x00", b"\xff" * 72, b"x" * 64])
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_refuses_a_forged_signature(algorithm, signature):
    software = device(algorithm=algorithm)
    authenticator = enrolled(software)

    credential = software.answer(request_options(), Lie(signature=signature))

    assert refusal_of(credential, authenticator) == Refusal.SIGNATURE


@given(st.integers(0, 36 * 8 - 1))
def test_refuses_authenticator_data_changed_after_signing(bit):
    software = device(sign_count=7)
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    data = bytearray(decode(credential["response"]["authenticatorData"]))
    data[bit // 8] ^= 1 << bit % 8
    credential["response"]["authenticatorData"] = encode(bytes(data))

    with pytest.raises(VerificationFailedError):
        verify(credential, authenticator)


def test_refuses_client_data_changed_after_signing():
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options(), Lie(origin="https://evil.example"))
    honest = software.answer(request_options())["response"]["clientDataJSON"]
    credential["response"]["clientDataJSON"] = honest

    assert refusal_of(credential, authenticator) == Refusal.SIGNATURE


def test_refuses_a_response_when_the_server_has_lost_its_challenge():
    software = device()
    authenticator = enrolled(software)
    for lost in (b"", b"short"):
        options = {**request_options(), "challenge": encode(lost)}
        credential = software.answer(options)

        assert refusal_of(credential, authenticator, expected_challenge=lost) == Refusal.CHALLENGE


# --- the counter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "answered", "holds"),
    [
        (0, 0, True),
        (0, 1, True),
        (7, 8, True),
        (7, 2**32 - 1, True),
        (7, 7, False),
        (7, 6, False),
        (7, 0, False),
        (1, 0, False),
    ],
)
def test_a_counter_only_goes_forward(stored, answered, holds):
    software = device()
    record = msgspec.structs.replace(register(software), sign_count=stored)
    authenticator = an_authenticator(record, subject=ALICE)
    credential = software.answer(request_options(), Lie(sign_count=answered))

    if holds:
        assert verify(credential, authenticator).sign_count == answered
        return
    with pytest.raises(SignCountRegressedError) as caught:
        verify(credential, authenticator)
    assert caught.value.authenticator_id == authenticator.id
    assert caught.value.detail == Refusal.SIGN_COUNT


def test_a_clone_is_noticed_when_both_have_been_used():
    software = device(sign_count=5)
    record = register(software)
    clone = software.twin()
    used = verify(software.answer(request_options()), an_authenticator(record, subject=ALICE))
    later = msgspec.structs.replace(record, sign_count=used.sign_count)

    with pytest.raises(SignCountRegressedError):
        verify(clone.answer(request_options()), an_authenticator(later, subject=ALICE))


def test_a_forged_counter_raises_no_alarm_about_a_clone():
    software = device()
    record = msgspec.structs.replace(register(software), sign_count=7)
    lie = Lie(sign_count=1, signature=b"forged")

    refusal = refusal_of(
        software.answer(request_options(), lie), an_authenticator(record, subject=ALICE)
    )

    assert refusal == Refusal.SIGNATURE


# --- malformed responses ------------------------------------------------------------------------

BROKEN = {
    "nothing": {},
    "no response": {"response": None},
    "response as text": {"response": "{}"},
    "empty response": {"response": {}},
    "another type": {"type": "password"},
    "no type": {"type": None},
    "id as number": {"id": 7, "rawId": 7},
    "empty id": {"id": "", "rawId": ""},
    "padded id": {"id": "YQ==", "rawId": "YQ=="},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_refuses_a_malformed_response(change):
    software = device()
    authenticator = enrolled(software)
    answered = software.answer(request_options()) | change if change else {}
    registered = device().register(creation_options()) | change if change else {}

    assert refusal_of(answered, authenticator) == Refusal.MALFORMED
    assert refused_registration(registered) == Refusal.MALFORMED


@pytest.mark.parametrize("text", ["", "!", "AA==", "é", "A", 7, None, "A" * 70_000])
@pytest.mark.parametrize("member", ["clientDataJSON", "authenticatorData", "signature"])
def test_refuses_a_malformed_member_of_an_assertion(member, text):
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    credential["response"][member] = text

    assert refusal_of(credential, authenticator) == Refusal.MALFORMED


@pytest.mark.parametrize("text", ["", "!", "AA", "AA==", 7, None])
@pytest.mark.parametrize("member", ["clientDataJSON", "attestationObject"])
def test_refuses_a_malformed_member_of_a_registration(member, text):
    credential = device().register(creation_options())
    credential["response"][member] = text

    assert refused_registration(credential) == Refusal.MALFORMED


@pytest.mark.parametrize(
    "client_data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"webauthn.get"}',
        b"\xff\xfe",
        '{"type":"webauthn.get"}'.encode("utf-16"),
        b'{"x":' * 3000,
    ],
)
def test_refuses_malformed_client_data(client_data):
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    credential["response"]["clientDataJSON"] = encode(client_data)

    assert refusal_of(credential, authenticator) == Refusal.MALFORMED


def test_refuses_client_data_in_utf_16_which_no_browser_writes():
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    text = decode(credential["response"]["clientDataJSON"]).decode()
    credential["response"]["clientDataJSON"] = encode(text.encode("utf-16"))

    assert refusal_of(credential, authenticator) == Refusal.MALFORMED


@pytest.mark.parametrize("length", [0, 36, 38])
def test_refuses_authenticator_data_of_another_length(length):
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options())
    data = decode(credential["response"]["authenticatorData"]) + b"\x00"
    credential["response"]["authenticatorData"] = encode(data[:length])

    assert refusal_of(credential, authenticator) == Refusal.MALFORMED


def test_refuses_an_id_that_is_not_its_raw_id():
    software = device()
    authenticator = enrolled(software)
    credential = software.answer(request_options()) | {"id": encode(b"other")}

    assert refusal_of(credential, authenticator) == Refusal.CREDENTIAL_ID


@pytest.mark.parametrize(("length", "holds"), [(1, True), (1023, True), (1024, False)])
def test_takes_credential_ids_up_to_1023_bytes(length, holds):
    software = device(credential_id=b"i" * length)
    credential = software.register(creation_options())

    if holds:
        assert verify_registration(credential).credential_id == b"i" * length
    else:
        assert refused_registration(credential) == Refusal.CREDENTIAL_ID


def test_refuses_a_registration_whose_ids_differ():
    credential = device().register(creation_options())
    credential |= {"id": encode(b"other"), "rawId": encode(b"other")}

    assert refused_registration(credential) == Refusal.CREDENTIAL_ID


def test_refuses_a_registration_without_a_credential():
    software = device()
    credential = software.register(creation_options())
    data = software.answer(request_options())["response"]["authenticatorData"]
    statement = {"fmt": "none", "attStmt": {}, "authData": decode(data)}
    credential["response"]["attestationObject"] = encode(cbor2.dumps(statement))

    assert refused_registration(credential) == Refusal.CREDENTIAL_ID


@pytest.mark.parametrize(
    "change",
    [{"fmt": "none", "attStmt": {"x5c": [b"x"]}}, {"fmt": "packed"}, {"fmt": "unheard-of"}],
    ids=["a statement under none", "packed without a statement", "an unknown format"],
)
def test_refuses_a_statement_that_does_not_hold(change):
    credential = device().register(creation_options())
    statement = cbor2.loads(decode(credential["response"]["attestationObject"])) | change
    credential["response"]["attestationObject"] = encode(cbor2.dumps(statement))

    assert refused_registration(credential) in {Refusal.ATTESTATION, Refusal.MALFORMED}


# --- options ------------------------------------------------------------------------------------


def test_creation_options_are_what_a_browser_parses():
    existing = enrolled(device(credential_id=b"one", transports=("usb",)))

    assert creation_options(existing) == {
        "rp": {"id": RP_ID, "name": "Example"},
        "user": {"id": encode(HANDLE), "name": "alice", "displayName": "Alice"},
        "challenge": encode(CHALLENGE),
        "pubKeyCredParams": [
            {"type": "public-key", "alg": -7},
            {"type": "public-key", "alg": -8},
            {"type": "public-key", "alg": -257},
            {"type": "public-key", "alg": -36},
        ],
        "timeout": 300_000,
        "excludeCredentials": [{"type": "public-key", "id": encode(b"one"), "transports": ["usb"]}],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "none",
    }


def test_request_options_are_what_a_browser_parses():
    passkey = enrolled(device(credential_id=b"one"))
    codes = an_authenticator(RecoveryCodes(digests=()))

    assert request_options(passkey, codes) == {
        "challenge": encode(CHALLENGE),
        "timeout": 300_000,
        "rpId": RP_ID,
        "allowCredentials": [
            {"type": "public-key", "id": encode(b"one"), "transports": ["internal"]}
        ],
        "userVerification": "required",
        "hints": ["security-key"],
    }


@pytest.mark.parametrize(
    ("transports", "device_bound", "expected"),
    [
        (("internal",), False, ("client-device",)),
        (("usb", "nfc", "ble"), False, ("security-key",)),
        (("internal", "hybrid"), False, ("hybrid", "client-device")),
        ((), False, ()),
        (("internal",), True, ("security-key",)),
    ],
)
def test_hints_follow_the_transports_and_the_policy(transports, device_bound, expected):
    authenticator = enrolled(device(transports=transports))

    assert webauthn.hints_for([authenticator], device_bound=device_bound) == expected


def test_a_user_handle_names_one_subject_and_nobody_to_a_reader():
    handles = {
        webauthn.user_handle(Subject(issuer, sub))
        for issuer, sub in (("i", "alice"), ("j", "alice"), ("i", "bob"), ("ia", "lice"))
    }

    assert len(handles) == 4
    assert {len(handle) for handle in handles} == {32}
    assert webauthn.user_handle(ALICE) == HANDLE
