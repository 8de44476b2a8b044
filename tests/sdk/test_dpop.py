"""The SDK's own check of DPoP proofs, by the numbers of RFC 9449 section 4.3."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from stepup.sdk import InvalidProof, MemoryReplays, UnavailableError, UseDpopNonce
from stepup.sdk.dpop import ProofVerifier
from tests.sdk.minting import NOW, Clock
from tests.sdk.proving import BASE, Prover
from tests.support.vectors import load

VECTORS = load("oauth-rfc-examples")["dpop_rfc9449"]
TOKEN, URL = "token-1", f"{BASE}/payments"


@pytest.fixture(scope="module")
def prover():
    return Prover()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def verifier(clock):
    return ProofVerifier(clock=clock)


def check(verifier, *proofs, **changes):
    expected = {"method": "POST", "url": URL, "access_token": TOKEN} | changes
    return verifier.verify(proofs, **expected)


def refuses(verifier, *proofs, **changes):
    with pytest.raises(InvalidProof) as error:
        check(verifier, *proofs, **changes)
    assert 'error="invalid_dpop_proof"' in error.value.headers["WWW-Authenticate"]


def test_rfc9449_the_resource_example_holds_at_its_time():
    example = next(e for e in VECTORS["proofs"] if "ath" in e["payload"])
    said = example["payload"]
    verifier = ProofVerifier(clock=lambda: said["iat"])
    asked = {"method": said["htm"], "url": said["htu"], "access_token": VECTORS["access_token"]}

    assert verifier.verify([example["proof"]], **asked) == VECTORS["jkt"]
    for change in ({"method": "POST"}, {"url": "https://other.example/"}, {"access_token": "x"}):
        refuses(verifier, example["proof"], **asked | change)


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA", "Ed25519"])
def test_a_good_proof_gives_the_thumbprint_of_its_key(verifier, alg):
    prover = Prover(alg)
    assert check(verifier, prover.prove(TOKEN)) == prover.jkt


def test_rfc9449_4_3_1_refuses_no_proof_and_two(verifier, prover):
    refuses(verifier)
    refuses(verifier, prover.prove(TOKEN), prover.prove(TOKEN))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "e30.e30.AA", "x" * 5000])
def test_rfc9449_4_3_2_refuses_what_is_no_jwt(verifier, text):
    refuses(verifier, text)


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat", "ath"])
@pytest.mark.parametrize("value", [None, "", 7.5, [], True])
def test_rfc9449_4_3_3_refuses_a_missing_or_broken_claim(verifier, prover, name, value):
    refuses(verifier, prover.prove(TOKEN, **{name: value}))


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt", "DPoP+jwt", ["dpop+jwt"]])
def test_rfc9449_4_3_4_refuses_another_typ(verifier, prover, typ):
    refuses(verifier, prover.prove(TOKEN, header={"typ": typ}))


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256", "ES384", None, 7])
def test_rfc9449_4_3_5_refuses_another_algorithm(verifier, prover, alg):
    refuses(verifier, prover.prove(TOKEN, header={"alg": alg}))
    refuses(verifier, Prover("RS256").prove(TOKEN))


def test_rfc9449_4_3_6_refuses_a_signature_of_another_key(verifier, prover):
    refuses(verifier, prover.prove(TOKEN, header={"jwk": Prover().jwk}))
    refuses(verifier, prover.prove(TOKEN).rpartition(".")[0] + ".")


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_rfc9449_4_3_7_refuses_a_private_key(verifier, alg):
    prover = Prover(alg)
    refuses(verifier, prover.prove(TOKEN, header={"jwk": prover.private_jwk}))


def test_rfc9449_4_3_8_refuses_another_method(verifier, prover):
    refuses(verifier, prover.prove(TOKEN, "GET"))
    refuses(verifier, prover.prove(TOKEN, "post"))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://PAYMENTS.example:443/payments", True),
        (f"{URL}?a=b#c", True),
        (f"{BASE}/payments/", False),
        (f"{BASE}:444/payments", False),
        ("http://payments.example/payments", False),
        ("https://payments.example@evil.example/payments", False),
        ("/payments", False),
        ("https://[x/payments", False),
    ],
)
def test_rfc9449_4_3_9_compares_the_url_and_not_its_spelling(verifier, prover, url, good):
    proof = prover.prove(TOKEN, url=url)
    if good:
        assert check(verifier, proof)
    else:
        refuses(verifier, proof)


def test_rfc9449_4_3_10_asks_for_a_nonce_and_takes_it_for_two_windows(clock, prover):
    verifier = ProofVerifier(nonce_secret=b"s" * 32, clock=clock)
    neighbor = ProofVerifier(nonce_secret=b"s" * 32, clock=clock)
    for nonce in (None, "x", 7):
        with pytest.raises(UseDpopNonce) as error:
            check(verifier, prover.prove(TOKEN, nonce=nonce))
    nonce = error.value.nonce
    assert error.value.headers["DPoP-Nonce"] == nonce
    assert 'error="use_dpop_nonce"' in error.value.headers["WWW-Authenticate"]

    assert check(neighbor, prover.prove(TOKEN, nonce=nonce))
    clock.advance(60)
    assert check(verifier, prover.prove(TOKEN, nonce=nonce, iat=clock.now))
    clock.advance(60)
    with pytest.raises(UseDpopNonce):
        check(verifier, prover.prove(TOKEN, nonce=nonce, iat=clock.now))


@pytest.mark.parametrize(("seconds", "good"), [(10, True), (11, False), (-60, True), (-61, False)])
def test_rfc9449_4_3_11_accepts_ten_seconds_ahead_and_a_minute_of_age(
    verifier, prover, seconds, good
):
    proof = prover.prove(TOKEN, iat=NOW + seconds)
    if good:
        assert check(verifier, proof)
    else:
        refuses(verifier, proof)


def test_rfc9449_4_3_12_refuses_a_proof_for_another_token(verifier, prover):
    refuses(verifier, prover.prove("token-2"))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": None},
        {"jwk": []},
        {"jwk": {}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        {"jwk": {"kty": "EC", "crv": ["P-256"]}},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"crit": ["x"]},
        {"jku": "https://evil.example"},
    ],
    ids=str,
)
def test_hostile_headers_are_refused(verifier, prover, header):
    refuses(verifier, prover.prove(TOKEN, header=header))


def test_replay_is_refused_for_as_long_as_the_proof_would_hold(verifier, prover, clock):
    proof = prover.prove(TOKEN, iat=NOW + 10)
    assert check(verifier, proof)
    for _ in range(8):
        refuses(verifier, proof)
        clock.advance(10)


def test_replay_of_many_threads_one_gets_through(verifier, prover):
    proof = prover.prove(TOKEN)

    def attempt(_):
        try:
            return check(verifier, proof)
        except InvalidProof:
            return None

    with ThreadPoolExecutor(8) as threads:
        assert len([r for r in threads.map(attempt, range(40)) if r]) == 1


def test_processes_that_share_a_cache_take_a_proof_once(clock, prover):
    shared = MemoryReplays(clock)
    here, there = (ProofVerifier(replays=shared, clock=clock) for _ in range(2))
    proof = prover.prove(TOKEN)
    assert check(here, proof)
    refuses(there, proof)


def test_a_full_memory_lets_nobody_in_until_something_ends(clock):
    replays = MemoryReplays(clock, size=2)
    assert replays.remember("a", NOW + 5)
    assert replays.remember("b", NOW + 9)
    with pytest.raises(UnavailableError):
        replays.remember("c", NOW + 9)
    clock.advance(5)
    assert replays.remember("c", NOW + 9)
    assert not replays.remember("b", NOW + 9)
