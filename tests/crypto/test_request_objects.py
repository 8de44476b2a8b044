"""Request objects (RFC 9101): what holds, and one test per way not to."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from stepup.crypto import client_assertions, client_keys, keys
from stepup.crypto.jwts import InvalidTokenError
from stepup.crypto.request_objects import ExpectedObject, read_request_object
from tests.crypto.forging import forge
from tests.support.application import ISSUER
from tests.support.determinism import NOON
from tests.support.request_objects import AT, JWK, KEY, TYP, a_request_object, claims_of
from tests.support.vectors import load

KEYS = client_keys.read_keys([JWK])
EXPECTED = ExpectedObject(client_id="bank", issuer=ISSUER, now=NOON)


def test_rfc9126_3_the_worked_example_is_read():
    example = load("oauth-rfc-examples")["par_signed_request_rfc9126_3"]
    expected = ExpectedObject(
        client_id="s6BhdRkqt3",
        issuer="https://server.example.com",
        now=datetime.fromtimestamp(1_625_869_677 - 60, UTC),
    )

    found = read_request_object(
        example["request_object"], client_keys.read_keys([example["jwk"]]), expected
    )
    assert found.named is None
    assert found.parameters == {
        "response_type": "code",
        "client_id": "s6BhdRkqt3",
        "redirect_uri": "https://client.example.org/cb",
        "scope": "account-information",
        "state": "af0ifjsldkj",
        "code_challenge": "K2-ltc83acc4h0c9w6ESC_rEMTJ3bww-uCHaoeK1t8U",
        "code_challenge_method": "S256",
    }


def test_members_that_are_json_become_the_text_that_a_form_would_carry():
    text = a_request_object(
        max_age=0,
        claims={"id_token": {"acr": {"essential": True}}},
        authorization_details=[{"type": "stepup_action"}],
    )

    parameters = read_request_object(text, KEYS, EXPECTED).parameters
    assert parameters["max_age"] == "0"
    assert parameters["claims"] == '{"id_token":{"acr":{"essential":true}}}'
    assert parameters["authorization_details"] == '[{"type":"stepup_action"}]'
    assert "exp" not in parameters


@pytest.mark.parametrize("typ", [TYP, f"application/{TYP}", "JWT", None])
def test_rfc9101_4_the_kinds_that_an_object_may_have(typ: str | None):
    assert read_request_object(a_request_object(header={"typ": typ}), KEYS, EXPECTED)


def test_an_audience_in_a_list_with_others_is_ours_too():
    text = a_request_object(aud=["https://other.example", ISSUER])

    assert read_request_object(text, KEYS, EXPECTED).parameters


def test_a_name_is_remembered_for_as_long_as_the_object_would_hold():
    named = read_request_object(a_request_object(), KEYS, EXPECTED).named

    assert named.id == "object-1"
    assert named.since <= NOON
    assert named.until == NOON + timedelta(seconds=300)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "shop"},
        {"client_id": None},
        {"client_id": "shop"},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": []},
        {"exp": None},
        {"exp": AT},
        {"exp": AT - 1},
        {"exp": AT + 3601},
        {"exp": "soon"},
        {"iat": AT + 31},
        {"nbf": AT + 31},
        {"nbf": AT - 3601},
        {"iat": AT - 3601},
        {"jti": ""},
        {"jti": 7},
        {"request": "eyJ.eyJ.sig"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
        {"sub": "bank"},
    ],
    ids=str,
)
def test_rfc9101_6_3_an_object_that_does_not_hold_is_refused(changes: dict):
    with pytest.raises(InvalidTokenError):
        read_request_object(a_request_object(**changes), KEYS, EXPECTED)


@pytest.mark.parametrize(("ahead", "holds"), [(30, True), (31, False)])
def test_a_client_s_clock_may_be_half_a_minute_ahead(ahead: int, holds: bool):
    text = a_request_object(iat=AT + ahead, nbf=AT + ahead)
    if holds:
        assert read_request_object(text, KEYS, EXPECTED)
        return

    with pytest.raises(InvalidTokenError):
        read_request_object(text, KEYS, EXPECTED)


# --- attacks ----------------------------------------------------------------------------------


def test_attack_alg_none():
    unsigned = forge({"alg": "none", "typ": TYP}, claims_of())

    with pytest.raises(InvalidTokenError):
        read_request_object(unsigned, KEYS, EXPECTED)


def test_attack_alg_confusion_with_the_public_key_as_a_shared_secret():
    public = KEY.private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged = a_request_object(header={"alg": "HS256"}, key=public)

    with pytest.raises(InvalidTokenError):
        read_request_object(forged, KEYS, EXPECTED)


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "", "unknown", KEY.id + "\0"])
def test_attack_kid_injection(kid: str):
    stranger = keys.generate_signing_key("ES256")
    forged = a_request_object(header={"kid": kid}, key=stranger.private_key)

    with pytest.raises(InvalidTokenError):
        read_request_object(forged, KEYS, EXPECTED)


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_attack_a_header_that_brings_its_own_key(member: str):
    stranger = keys.generate_signing_key("ES256")
    forged = a_request_object(header={member: stranger.public_jwk}, key=stranger.private_key)

    with pytest.raises(InvalidTokenError):
        read_request_object(forged, KEYS, EXPECTED)


def test_attack_a_changed_parameter():
    header, _, signature = a_request_object().split(".")
    _, changed, _ = a_request_object(acr_values="urn:stepup:acr:1").split(".")

    with pytest.raises(InvalidTokenError):
        read_request_object(f"{header}.{changed}.{signature}", KEYS, EXPECTED)


def test_fapi2_5_4_1_rs256_is_not_among_the_algorithms():
    rsa = keys.generate_signing_key("RS256")
    published = client_keys.read_keys([{**rsa.public_jwk, "kid": rsa.id, "alg": "RS256"}])
    text = a_request_object(header={"alg": "RS256", "kid": rsa.id}, key=rsa.private_key)
    strict = ExpectedObject(
        client_id="bank", issuer=ISSUER, algorithms=client_keys.FAPI_ALGORITHMS, now=NOON
    )

    assert read_request_object(text, published, EXPECTED)
    with pytest.raises(InvalidTokenError):
        read_request_object(text, published, strict)


@pytest.mark.parametrize("typ", ["at+jwt", "client-authentication+jwt", "dpop+jwt", "secevent+jwt"])
def test_rfc8725_3_12_what_a_client_signs_for_something_else_is_no_request(typ: str):
    with pytest.raises(InvalidTokenError):
        read_request_object(a_request_object(header={"typ": typ}), KEYS, EXPECTED)


def test_rfc9101_10_8_a_client_assertion_is_no_request_object_nor_the_other_way_round():
    expected = client_assertions.Expected(client_id="bank", issuer=ISSUER, now=NOON)
    # As much like a request as an assertion can be: it holds everything that one does.
    assertion = a_request_object(sub="bank", header={"typ": "JWT"})
    assert client_assertions.read_assertion(assertion, KEYS, expected)
    with pytest.raises(InvalidTokenError):
        read_request_object(assertion, KEYS, EXPECTED)

    for typ in (TYP, "JWT", None):
        with pytest.raises(InvalidTokenError):
            client_assertions.read_assertion(a_request_object(header={"typ": typ}), KEYS, expected)
