"""DPoP proofs: the checks of RFC 9449 section 4.3 that need nothing but the proof and the clock.

Check 1 (one header) is in `tests/http/test_proofs.py`, check 10 (nonces) and the second half of
check 12 (the token's key) in `tests/usecases/test_proofs.py` and there.
"""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from stepup.crypto import dpop
from stepup.crypto.dpop import Proof, normal_url, verify_proof
from stepup.domain.authorization_errors import InvalidDpopProofError
from tests.crypto.forging import forge, part
from tests.support.dpop import ProofKey
from tests.support.vectors import load

URL = "https://stepup.example/oauth2/token"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VECTORS = load("oauth-rfc-examples")["dpop_rfc9449"]


@pytest.fixture(scope="module")
def key() -> ProofKey:
    return ProofKey()


def check(text: str, **changes) -> Proof:
    return verify_proof(text, **{"method": "POST", "url": URL, "now": NOW} | changes)


def refused(text: str, **changes) -> str:
    with pytest.raises(InvalidDpopProofError) as error:
        check(text, **changes)
    return error.value.detail


# --- the examples of the RFC ---------------------------------------------------------------------


@pytest.mark.parametrize("example", VECTORS["proofs"], ids=["first", "again", "later", "resource"])
def test_rfc9449_the_examples_hold_at_their_time(example: dict):
    said = example["payload"]
    at = datetime.fromtimestamp(said["iat"], UTC)
    token = VECTORS["access_token"] if "ath" in said else None

    proof = verify_proof(
        example["proof"], method=said["htm"], url=said["htu"], now=at, access_token=token
    )

    assert (proof.jkt, proof.jti) == (VECTORS["jkt"], said["jti"])


@pytest.mark.parametrize("example", VECTORS["proofs"], ids=["first", "again", "later", "resource"])
@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"url": "https://server.example.com/other"},
        {"now": timedelta(seconds=61)},
        {"now": timedelta(seconds=-11)},
        {"access_token": "another"},
    ],
    ids=["method", "url", "old", "young", "token"],
)
def test_rfc9449_the_examples_hold_for_nothing_else(example: dict, change: dict):
    said = example["payload"]
    at = datetime.fromtimestamp(said["iat"], UTC)
    good = {"method": said["htm"], "url": said["htu"], "now": at}
    if "now" in change:
        change = {"now": at + change["now"]}

    refused(example["proof"], **good | change)


def test_rfc9449_the_examples_hash_their_token():
    assert dpop.token_hash(VECTORS["access_token"]) == VECTORS["ath"]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_rfc9449_an_example_with_a_changed_part_does_not_hold(index: int):
    example = VECTORS["proofs"][0]
    parts = example["proof"].split(".")
    middle = len(parts[index]) // 2
    other = "A" if parts[index][middle] != "A" else "B"
    parts[index] = f"{parts[index][:middle]}{other}{parts[index][middle + 1 :]}"

    at = datetime.fromtimestamp(example["payload"]["iat"], UTC)
    refused(".".join(parts), url=example["payload"]["htu"], now=at)


# --- the checks of section 4.3 -------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA", "Ed25519"])
def test_a_proof_that_holds_says_whose_it_is(algorithm: str):
    key = ProofKey(algorithm)

    proof = check(key.proof("POST", URL, NOW, nonce="n"))

    assert proof == Proof(jkt=key.jkt, jti="proof-1", issued_at=NOW, nonce="n")


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "e30.e30.", "bnVsbA.e30.AA", "x" * 5000],
)
def test_rfc9449_4_3_2_refuses_what_is_no_single_jwt(text: str):
    refused(text)


def test_rfc9449_4_3_2_refuses_two_jwts_in_one_header(key: ProofKey):
    proof = key.proof("POST", URL, NOW)
    refused(f"{proof}, {proof}")


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat"])
def test_rfc9449_4_3_3_refuses_a_proof_without_a_claim(key: ProofKey, name: str):
    assert "claim" in refused(key.proof("POST", URL, NOW, **{name: None}))


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": ""},
        {"jti": 1},
        {"htm": ["POST"]},
        {"htu": {}},
        {"iat": "now"},
        {"iat": -1},
        {"iat": 1e300},
        {"nonce": 1},
        {"ath": []},
    ],
    ids=str,
)
def test_rfc9449_4_3_3_refuses_a_broken_claim(key: ProofKey, claims: dict):
    assert "claim" in refused(key.proof("POST", URL, NOW, **claims))


@pytest.mark.parametrize(
    "typ", [None, "JWT", "at+jwt", "DPOP+JWT", "application/dpop+jwt", "client-authentication+jwt"]
)
def test_rfc9449_4_3_4_refuses_another_typ(key: ProofKey, typ: str | None):
    assert "typ" in refused(key.proof("POST", URL, NOW, header={"typ": typ}))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES384", "ES256K", "PS512", ""])
def test_rfc9449_4_3_5_refuses_an_algorithm_that_is_not_ours(key: ProofKey, algorithm: str):
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.jwk}
    claims = {"jti": "1", "htm": "POST", "htu": URL, "iat": int(NOW.timestamp())}

    for signed_with in (None, b"secret" if algorithm == "HS256" else None):
        assert "algorithm" in refused(forge({**header}, claims, signed_with))


def test_rfc9449_4_3_5_refuses_a_shared_secret_as_key():
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": part(b"s" * 32)}}
    refused(forge(header, {"jti": "1", "htm": "POST", "htu": URL, "iat": 0}, b"s" * 32))


def test_rfc9449_4_3_6_refuses_a_signature_of_another_key(key: ProofKey):
    refused(key.proof("POST", URL, NOW, header={"jwk": ProofKey().jwk}))


def test_rfc9449_4_3_6_refuses_an_empty_signature(key: ProofKey):
    refused(key.proof("POST", URL, NOW).rpartition(".")[0] + ".")


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
def test_rfc9449_4_3_7_refuses_a_private_key(algorithm: str):
    key = ProofKey(algorithm)
    assert "public" in refused(key.proof("POST", URL, NOW, header={"jwk": key.private_jwk}))


@pytest.mark.parametrize("htm", ["GET", "post", "POST ", ""])
def test_rfc9449_4_3_8_refuses_another_method(key: ProofKey, htm: str):
    refused(key.proof(htm, URL, NOW))


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://STEPUP.example/oauth2/token",
        "https://stepup.example:443/oauth2/token",
        "https://stepup.example/oauth2/token?a=b",
        "https://stepup.example/oauth2/token#here",
        "https://stepup.example/oauth2/%74oken",
    ],
)
def test_rfc9449_4_3_9_accepts_another_spelling_of_the_url(key: ProofKey, htu: str):
    assert check(key.proof("POST", htu, NOW))


@pytest.mark.parametrize(
    "htu",
    [
        "https://stepup.example/oauth2/par",
        "https://stepup.example/oauth2/token/",
        "https://stepup.example/OAUTH2/token",
        "https://stepup.example:8443/oauth2/token",
        "https://stepup.example.evil/oauth2/token",
        "https://stepup.example@evil/oauth2/token",
        "http://stepup.example/oauth2/token",
        "/oauth2/token",
        "stepup.example/oauth2/token",
        "https://stepup.example:x/oauth2/token",
        "https://[stepup.example/oauth2/token",
        "ftp://stepup.example/oauth2/token",
    ],
)
def test_rfc9449_4_3_9_refuses_another_url(key: ProofKey, htu: str):
    assert "URL" in refused(key.proof("POST", htu, NOW))


def test_rfc9449_4_3_9_an_encoded_slash_is_no_slash():
    assert normal_url("https://a/b%2Fc") != normal_url("https://a/b/c")
    assert normal_url("https://a") == normal_url("https://A:443/")


@pytest.mark.parametrize(("seconds", "holds"), [(10, True), (11, False), (-60, True), (-61, False)])
def test_rfc9449_4_3_11_fapi2_5_3_2_1_accepts_ten_seconds_ahead_and_a_minute_of_age(
    key: ProofKey, seconds: int, holds: bool
):
    proof = key.proof("POST", URL, NOW + timedelta(seconds=seconds))

    if holds:
        assert check(proof)
    else:
        refused(proof)


@pytest.mark.parametrize("token", [None, "another-token"])
def test_rfc9449_4_3_12_refuses_a_proof_for_another_token(key: ProofKey, token: str | None):
    assert "token" in refused(key.proof("POST", URL, NOW, access_token=token), access_token="mine")


def test_rfc9449_4_3_12_accepts_a_proof_for_this_token(key: ProofKey):
    assert check(key.proof("POST", URL, NOW, access_token="mine"), access_token="mine")


# --- attacks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1024, 4608])
def test_a_short_rsa_key_proves_nothing_and_an_endless_one_is_not_tried(bits: int):
    key = ProofKey("PS256", rsa.generate_private_key(65537, bits))
    refused(key.proof("POST", URL, NOW))


def test_algorithm_confusion_an_rsa_key_under_an_elliptic_name(key: ProofKey):
    header = {"jwk": ProofKey("PS256").jwk}
    assert "kind" in refused(key.proof("POST", URL, NOW, header=header))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": None},
        {"jwk": {}},
        {"jwk": "key"},
        {"jwk": {"kty": "EC", "crv": "P-256"}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        {"jwk": {"kty": ["EC"], "crv": {}}},
        {"crit": ["exp"]},
        {"jku": "https://evil.example/keys"},
        {"x5c": ["AA"]},
        {"b64": False},
    ],
    ids=str,
)
def test_hostile_headers_are_refused(key: ProofKey, header: dict):
    refused(key.proof("POST", URL, NOW, header=header))


# --- nonces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "good"), [(0, True), (1, True), (2, False), (-1, False)], ids=str
)
def test_a_nonce_is_good_in_its_window_and_the_next(windows: int, good: bool):
    key = dpop.nonce_key(b"r" * 32)
    nonce = dpop.nonce_at(key, NOW)

    assert dpop.is_good_nonce(key, nonce, NOW + windows * dpop.NONCE_WINDOW) is good


def test_a_nonce_of_another_deployment_or_of_nobody_is_not_good():
    key = dpop.nonce_key(b"r" * 32)

    for nonce in (dpop.nonce_at(dpop.nonce_key(b"s" * 32), NOW), "", "é", "x" * 22):
        assert not dpop.is_good_nonce(key, nonce, NOW)
