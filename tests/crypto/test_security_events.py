import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.crypto import keys, security_events, tokens, upstream
from stepup.domain.errors import InvalidSubjectTokenError
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import EventType, SecurityEvent
from tests.crypto.forging import forge
from tests.crypto.forging import read as part_of
from tests.crypto.test_upstream import jwk
from tests.support import vectors
from tests.support.application import a_keyring, a_site

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ISSUER = "https://idp.example"
IAT = int(NOW.timestamp())
WEEK = timedelta(days=7)
RSA = keys.generate_signing_key("RS256")
STRANGER = keys.generate_signing_key("RS256")
KEYS = upstream.keys_of({"keys": [jwk(RSA)]})
HEADER = {"alg": "RS256", "kid": RSA.id, "typ": "secevent+jwt"}
CLAIMS = {
    "iss": ISSUER,
    "jti": "set-1",
    "iat": IAT,
    "aud": "stepup",
    "txn": "t-1",
    "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "alice"},
    "events": {str(EventType.SESSION_REVOKED): {"event_timestamp": IAT}},
}
EVENT = SecurityEvent(
    issuer=ISSUER,
    id="set-1",
    issued_at=NOW,
    audiences=("stepup",),
    type=EventType.SESSION_REVOKED,
    payload={"event_timestamp": IAT},
    sub_id=CLAIMS["sub_id"],
    transaction="t-1",
)
_VECTORS = vectors.load("ssf-caep-examples")
EXAMPLES = [
    pytest.param(
        example["json"], id=f"{kind} {place} {next(iter(example['json']['events']))[-24:]}"
    )
    for kind in ("caep", "ssf")
    for place, example in enumerate(_VECTORS[kind])
    if "events" in example["json"]
]


def claims(**changes) -> dict:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not None}


def read(text: str, **changes) -> SecurityEvent:
    expectations = {
        "expected_issuer": ISSUER,
        "expected_audiences": {"stepup"},
        "algorithms": frozenset({"RS256"}),
        "now": NOW,
        "oldest": WEEK,
    }
    return security_events.read(text, KEYS, **expectations | changes)


def refuse(text: str, **changes) -> SetError:
    with pytest.raises(SetRefusedError) as caught:
        read(text, **changes)
    return caught.value.err


def signed(header: dict | None = None, key=RSA, **changes) -> str:
    return forge(HEADER | (header or {}), claims(**changes), key.private_key)


def test_reads_exactly_what_it_signed():
    text = security_events.sign(security_events.claims_of(EVENT), RSA)
    assert read(text) == EVENT
    assert part_of(text, 0) == HEADER
    assert part_of(text, 1) == CLAIMS


def test_ssf_4_1_a_set_of_ours_has_the_typ_and_neither_sub_nor_exp():
    text = security_events.sign(security_events.claims_of(EVENT), RSA)
    assert part_of(text, 0)["typ"] == "secevent+jwt"
    assert {"sub", "exp"}.isdisjoint(part_of(text, 1))
    assert len(part_of(text, 1)["events"]) == 1


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_published_set_is_read(example):
    text = forge(HEADER, example, RSA.private_key)
    audiences = example["aud"] if isinstance(example["aud"], list) else [example["aud"]]
    event = read(
        text,
        expected_issuer=example["iss"],
        expected_audiences={audiences[-1]},
        now=datetime.fromtimestamp(example["iat"], UTC),
    )
    # And written again it is the same, so that what we send has the published shape.
    again = json.loads(security_events.claims_of(event))
    assert again == example


@pytest.mark.parametrize(
    ("changes", "err"),
    [
        pytest.param({"iss": "https://other.example"}, SetError.INVALID_ISSUER, id="issuer"),
        pytest.param({"iss": None}, SetError.INVALID_REQUEST, id="no issuer"),
        pytest.param({"aud": "somebody"}, SetError.INVALID_AUDIENCE, id="audience"),
        pytest.param({"aud": None}, SetError.INVALID_AUDIENCE, id="no audience"),
        pytest.param({"jti": None}, SetError.INVALID_REQUEST, id="no jti"),
        pytest.param({"jti": ""}, SetError.INVALID_REQUEST, id="an empty jti"),
        pytest.param({"iat": None}, SetError.INVALID_REQUEST, id="no iat"),
        pytest.param({"iat": IAT + 301}, SetError.INVALID_REQUEST, id="of the future"),
        pytest.param({"iat": IAT - 7 * 86400 - 1}, SetError.INVALID_REQUEST, id="too old"),
        pytest.param({"events": None}, SetError.INVALID_REQUEST, id="no events"),
        pytest.param({"events": {}}, SetError.INVALID_REQUEST, id="no event"),
        pytest.param({"events": {"a": {}, "b": {}}}, SetError.INVALID_REQUEST, id="two events"),
        pytest.param({"events": {"a": "b"}}, SetError.INVALID_REQUEST, id="not an object"),
        pytest.param({"sub": "alice"}, SetError.INVALID_REQUEST, id="a sub"),
        pytest.param({"exp": IAT + 60}, SetError.INVALID_REQUEST, id="an exp"),
    ],
)
def test_ssf_4_1_refuses_what_is_no_set_for_us(changes, err):
    assert refuse(signed(**changes)) is err


@pytest.mark.parametrize("iat", [IAT + 300, IAT - 7 * 86400])
def test_the_window_of_iat_includes_its_ends(iat):
    assert read(signed(iat=iat)).issued_at.timestamp() == iat


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "logout+jwt", None])
def test_ssf_4_1_refuses_another_typ(typ):
    assert refuse(signed({"typ": typ})) is SetError.INVALID_KEY


def test_rfc7515_4_1_9_the_typ_may_be_the_whole_media_type():
    assert read(signed({"typ": "application/secevent+jwt"})) == EVENT


def test_attack_alg_none():
    assert refuse(forge(HEADER | {"alg": "none"}, CLAIMS)) is SetError.INVALID_KEY


def test_attack_the_public_key_as_a_shared_secret():
    secret = json.dumps(RSA.public_jwk).encode()
    assert refuse(forge(HEADER | {"alg": "HS256"}, CLAIMS, secret)) is SetError.INVALID_KEY


def test_attack_signed_by_a_stranger_under_a_known_name():
    assert refuse(signed(key=STRANGER)) is SetError.INVALID_KEY


@pytest.mark.parametrize("kid", ["unknown", None])
def test_attack_a_key_that_the_transmitter_does_not_publish(kid):
    header = {name: value for name, value in (HEADER | {"kid": kid}).items() if value}
    assert refuse(forge(header, CLAIMS, RSA.private_key)) is SetError.INVALID_KEY


def test_attack_our_own_elevated_token_as_a_set():
    keyring, site = a_keyring(), a_site()
    ours = upstream.keys_of({"keys": [jwk(key) for key in keyring.published]})
    header = {"alg": keyring.active.algorithm, "kid": keyring.active.id, "typ": "at+jwt"}
    text = forge(header, CLAIMS | {"iss": site.issuer}, keyring.active.private_key)
    with pytest.raises(SetRefusedError):
        security_events.read(
            text,
            ours,
            expected_issuer=site.issuer,
            expected_audiences={"stepup"},
            algorithms=frozenset({keyring.active.algorithm}),
            now=NOW,
            oldest=WEEK,
        )


def test_attack_a_set_of_ours_as_an_elevated_token():
    keyring, site = a_keyring(), a_site()
    event = msgspec.structs.replace(EVENT, issuer=site.issuer)
    text = security_events.sign(security_events.claims_of(event), keyring.active)
    with pytest.raises(tokens.InvalidTokenError):
        tokens.read(text, keyring, site, NOW)


def test_attack_a_set_as_a_subject_token():
    text = forge(HEADER | {"typ": "JWT"}, CLAIMS | {"sub": "a", "exp": IAT + 60}, RSA.private_key)
    with pytest.raises(InvalidSubjectTokenError):
        upstream.verify_subject_token(
            text,
            KEYS,
            expected_issuer=ISSUER,
            expected_audiences=frozenset({"stepup"}),
            algorithms=frozenset({"RS256"}),
            now=NOW,
        )
