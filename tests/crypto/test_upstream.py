from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from stepup.crypto import keys, upstream
from stepup.domain.errors import InvalidSubjectTokenError
from tests.crypto.forging import forge, part

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ISSUER = "https://idp.example"
IAT = int(NOW.timestamp())

RSA = keys.generate_signing_key("RS256")
EC = keys.generate_signing_key("ES256")
STRANGER = keys.generate_signing_key("ES256")
DEEP = b'{"iss":' * 2000


def jwk(key, **changes) -> dict:
    full = {**key.public_jwk, "kid": key.id, "use": "sig", "alg": key.algorithm}
    return {name: value for name, value in (full | changes).items() if value is not None}


KEYS = upstream.keys_of({"keys": [jwk(RSA), jwk(EC)]})
HEADER = {"alg": "ES256", "kid": EC.id, "typ": "JWT"}
CLAIMS = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": "stepup",
    "iat": IAT,
    "exp": IAT + 300,
    "name": "Alice",
    "acr": "urn:example:pwd",
}


def claims(**changes) -> dict:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not None}


def verify(text: str, keyring=None, now: datetime = NOW, **changes):
    expectations = {
        "expected_issuer": ISSUER,
        "expected_audiences": frozenset({"stepup", "https://stepup.example"}),
        "algorithms": frozenset({"RS256", "ES256"}),
        "now": now,
    }
    return upstream.verify_subject_token(
        text, KEYS if keyring is None else keyring, **expectations | changes
    )


def refuse(text: str, **changes) -> str:
    with pytest.raises(InvalidSubjectTokenError) as caught:
        verify(text, **changes)
    return caught.value.detail


def signed(header: dict = HEADER, payload: object = CLAIMS, key=EC) -> str:
    return forge(header, payload, key.private_key)


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", None])
@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_returns_every_claim_of_a_token_that_holds(key, typ):
    header = {"alg": key.algorithm, "kid": key.id} | ({"typ": typ} if typ else {})

    assert verify(signed(header, CLAIMS, key)) == CLAIMS


def test_accepts_one_of_several_audiences():
    assert verify(signed(payload=claims(aud=["bank", "stepup"])))["aud"] == ["bank", "stepup"]


# --- time: one second either side of each limit, five seconds of leeway -------------------------


def test_accepts_a_token_in_the_last_second_of_its_leeway():
    assert verify(signed(), now=NOW + 304 * SECOND)


@pytest.mark.parametrize("seconds", [305, 306])
def test_refuses_a_token_expired_by_one_second(seconds):
    assert "expired" in refuse(signed(), now=NOW + seconds * SECOND)


def test_accepts_a_token_five_seconds_from_the_future_and_refuses_six():
    assert verify(signed(), now=NOW - 5 * SECOND)
    assert "future" in refuse(signed(), now=NOW - 6 * SECOND)


def test_respects_not_before():
    text = signed(payload=claims(nbf=IAT + 60))

    assert verify(text, now=NOW + 55 * SECOND)
    assert "yet" in refuse(text, now=NOW + 54 * SECOND)


def test_takes_another_leeway():
    assert "expired" in refuse(signed(), now=NOW + 300 * SECOND, leeway=timedelta(0))


def test_refuses_a_token_that_never_expires():
    assert "malformed" in refuse(signed(payload=claims(exp=None)))


# --- issuer, audience, kind ---------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", ISSUER.upper()])
def test_refuses_another_issuer(issuer):
    assert "issuer" in refuse(signed(payload=claims(iss=issuer)))


@pytest.mark.parametrize("audience", ["bank", ["bank"], [], "", "stepu"])
def test_refuses_a_token_for_another_audience(audience):
    assert "audience" in refuse(signed(payload=claims(aud=audience)))


def test_refuses_everything_when_no_audience_is_expected():
    assert "audience" in refuse(signed(), expected_audiences=frozenset())


@pytest.mark.parametrize("typ", ["secevent+jwt", "logout+jwt", "dpop+jwt", "stepup-ticket+jwt"])
def test_refuses_another_kind_of_token(typ):
    assert "kind" in refuse(signed({**HEADER, "typ": typ}))


def test_refuses_a_logout_token_that_looks_like_an_id_token():
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}

    assert "event" in refuse(signed(payload=claims(events=event)))


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 256},
        {"aud": None},
        {"iss": None},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": "now"},
    ],
)
def test_refuses_malformed_claims(changes):
    assert "malformed" in refuse(signed(payload=claims(**changes)))


# --- keys and algorithms ------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "HS384", "HS512", "ES384"])
def test_refuses_alg_none_and_shared_secrets(alg):
    refuse(forge({**HEADER, "alg": alg}, CLAIMS))
    refuse(
        forge({**HEADER, "alg": alg}, CLAIMS),
        algorithms=frozenset({"none", "None", "HS256", "HS384", "HS512", "ES384"}),
    )


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_refuses_the_public_key_used_as_a_shared_secret(encoding):
    public = RSA.private_key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    text = forge({"alg": "HS256", "kid": RSA.id}, CLAIMS, public)

    refuse(text)
    refuse(text, algorithms=frozenset({"RS256", "HS256"}))


def test_refuses_an_algorithm_that_was_not_configured():
    assert "algorithm" in refuse(signed(), algorithms=frozenset({"RS256"}))


def test_refuses_an_algorithm_that_the_key_was_not_published_for():
    text = forge({"alg": "PS256", "kid": RSA.id}, CLAIMS, RSA.private_key)

    assert "algorithm" in refuse(text, algorithms=frozenset({"RS256", "PS256"}))
    unnamed = upstream.keys_of({"keys": [jwk(RSA, alg=None)]})
    assert verify(text, keyring=unnamed, algorithms=frozenset({"PS256"}))


def test_refuses_an_unknown_kid():
    text = signed({**HEADER, "kid": STRANGER.id}, key=STRANGER)

    assert "unknown" in refuse(text)


def test_refuses_a_stranger_s_signature_under_a_known_kid():
    assert "signature" in refuse(signed(key=STRANGER))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": STRANGER.public_jwk},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"zip": "DEF"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_refuses_a_token_that_chooses_its_own_key(header):
    refuse(signed(HEADER | header, key=STRANGER))
    refuse(signed(HEADER | header))


def test_needs_no_kid_when_the_issuer_has_one_key():
    header = {"alg": "ES256"}

    assert verify(signed(header), keyring=upstream.keys_of({"keys": [jwk(EC)]}))
    assert verify(signed(header), keyring=upstream.keys_of({"keys": [jwk(EC, kid=None)]}))
    assert "unknown" in refuse(signed(header))


def test_leaves_out_keys_that_cannot_verify():
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505  the point
    koblitz = ec.generate_private_key(ec.SECP256K1()).public_key()
    unusable = [
        jwk(EC, use="enc"),
        jwk(EC, alg="RS256"),
        jwk(EC, kid=7),
        jwk(EC, x="AAAA"),
        jwk(EC, y=None),
        jwk(EC, d="AAAA"),
        jwk(EC, crv=["P-256"]),
        jwk(EC, kty=["EC"]),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {**RSAAlgorithm.to_jwk(small, as_dict=True), "kid": "small", "alg": "RS256"},
        {**ECAlgorithm.to_jwk(koblitz, as_dict=True), "kid": "curve"},
        {},
        "key",
        None,
    ]

    assert upstream.keys_of({"keys": unusable}) == {}
    assert set(upstream.keys_of({"keys": [*unusable, jwk(RSA)]})) == {RSA.id}


def test_the_first_key_of_a_name_is_the_one():
    first = upstream.keys_of({"keys": [jwk(EC), jwk(STRANGER, kid=EC.id)]})

    assert verify(signed(), keyring=first)


@pytest.mark.parametrize("jwk_set", [{}, {"keys": None}, {"keys": {}}, {"keys": [{}] * 65}])
def test_refuses_what_is_no_jwk_set(jwk_set):
    with pytest.raises(ValueError, match="JWK set"):
        upstream.keys_of(jwk_set)


# --- choosing whom to ask -----------------------------------------------------------------------


def test_reads_issuer_and_kid_of_a_token_it_cannot_verify():
    assert upstream.peek_issuer_and_kid(signed(key=STRANGER)) == (ISSUER, EC.id)
    assert upstream.peek_issuer_and_kid(signed({"alg": "ES256"})) == (ISSUER, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b.c",
        "é.é.é",
        f"{part(HEADER)}.{part({})}.",
        f"{part(HEADER)}.{part({'iss': 7})}.",
        f"{part(HEADER)}.{part([])}.",
        f"{part([])}.{part(CLAIMS)}.",
        f"{part({'kid': 'x'})}.{part(CLAIMS)}.",
        f"{part({**HEADER, 'kid': 7})}.{part(CLAIMS)}.",
        f"{part(HEADER)}.{part(b'{' * 9000)}.",
        f"{part(HEADER)}.{part(DEEP)}.",
        f"{part(HEADER)}.{part({**CLAIMS, 'x': 'y' * 20_000})}.",
    ],
)
def test_refuses_to_peek_at_what_is_no_jwt_with_an_issuer(text):
    with pytest.raises(InvalidSubjectTokenError):
        upstream.peek_issuer_and_kid(text)
    refuse(text)
