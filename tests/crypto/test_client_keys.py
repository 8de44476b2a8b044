"""The JWK set of a client: what is in order, and which key a JWT may choose."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from stepup.crypto import client_keys, jwts, keys
from tests.crypto.forging import forge
from tests.support.certificates import issue

EC = keys.generate_signing_key("ES256")
RSA = keys.generate_signing_key("RS256")
OKP = ed25519.Ed25519PrivateKey.generate()


def jwk(key, **changes) -> dict:
    full = {**key.public_jwk, "kid": key.id, "use": "sig"}
    return {name: value for name, value in (full | changes).items() if value is not None}


OKP_JWK = OKPAlgorithm.to_jwk(OKP.public_key(), as_dict=True) | {"kid": "ed"}
TYPS = frozenset({None})


def test_reads_the_keys_that_verify():
    encryption = jwk(EC, kid="enc", use="enc")
    other_curve = {"kty": "EC", "crv": "P-521", "kid": "big", "x": "AA", "y": "AA"}

    found = client_keys.read_keys([jwk(EC), jwk(RSA), OKP_JWK, encryption, other_curve])

    assert [(key.kid, sorted(key.algorithms)) for key in found] == [
        (EC.id, ["ES256"]),
        (RSA.id, ["PS256", "RS256"]),
        ("ed", ["Ed25519", "EdDSA"]),
    ]


def test_an_algorithm_that_is_named_is_the_only_one():
    assert client_keys.read_keys([jwk(RSA, alg="PS256")])[0].algorithms == {"PS256"}
    assert client_keys.read_keys([jwk(EC, alg="HS256")]) == ()


@pytest.mark.parametrize("registered", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_rfc9864_2_2_both_names_of_ed25519_mean_one_key(registered, alg):
    members = OKP_JWK | ({} if registered is None else {"alg": registered})
    found = client_keys.read_keys([members])

    text = forge({"alg": alg, "kid": "ed"}, {"a": 1}, OKP)

    assert client_keys.verify(text, found, typs=TYPS) == b'{"a": 1}'


def test_rfc9864_4_alg_confusion_a_key_of_another_kind_under_the_new_name():
    found = client_keys.read_keys([jwk(EC), jwk(RSA)])
    for key in (EC, RSA):
        with pytest.raises(jwts.InvalidTokenError):
            client_keys.verify(forge({"alg": "Ed25519", "kid": key.id}, {}, OKP), found, typs=TYPS)


WEAK = RSAAlgorithm.to_jwk(
    rsa.generate_private_key(65537, 1024).public_key(),  # noqa: S505  weak, to be refused
    as_dict=True,
)

# `id-ecPublicKey` becomes an algorithm that nobody has heard of.
OF_NO_KNOWN_KEY = issue().der.replace(
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x09"
)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([jwk(EC), jwk(RSA, kid=EC.id)], "same kid"),
        ([jwk(EC, d="AAAA")], "private members"),
        ([{"kty": "oct", "k": "AAAA"}], "private"),
        ([{"kty": "oct"}], "symmetric"),
        ([WEAK], "fewer than 2048"),
        ([jwk(EC, x="AAAA")], "cannot be read"),
        ([jwk(EC, x5c=["AAAA"])], "x5c cannot be read"),
        ([jwk(EC, x5c=[b64encode(OF_NO_KNOWN_KEY).decode()])], "an x5c cannot be read"),
        ([jwk(EC, x5c=[b64encode(issue().der).decode()])], "another key"),
        ([{"kid": "no type"}], "not a JWK"),
        ([jwk(EC, kid=f"k{n}") for n in range(33)], "more than 32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fapi2_5_4_2_a_set_that_is_not_in_order_is_refused(members, why):
    with pytest.raises(ValueError, match=why):
        client_keys.read_keys(members)


def test_a_certificate_comes_with_its_key():
    mine = issue()
    public = mine.key.public_key()
    numbers = public.public_numbers()
    members = {
        "kty": "EC",
        "crv": "P-256",
        "x": client_keys.certificates.digests.encode(numbers.x.to_bytes(32, "big")),
        "y": client_keys.certificates.digests.encode(numbers.y.to_bytes(32, "big")),
        "x5c": [b64encode(mine.der).decode()],
    }

    assert client_keys.read_keys([members])[0].certificate == mine.der


def signed(key, **header) -> str:
    return forge({"alg": "ES256", **header}, {"iss": "bank"}, key)


def test_the_kid_chooses():
    other = keys.generate_signing_key("ES256")
    found = client_keys.read_keys([jwk(EC), jwk(other)])

    assert client_keys.verify(signed(other.private_key, kid=other.id), found, typs=TYPS)
    with pytest.raises(jwts.InvalidTokenError, match="signature"):
        client_keys.verify(signed(other.private_key, kid=EC.id), found, typs=TYPS)
    for kid in ("unknown", "../../etc/passwd", "' OR 1=1 --"):
        with pytest.raises(jwts.InvalidTokenError, match="unknown"):
            client_keys.verify(signed(other.private_key, kid=kid), found, typs=TYPS)


def test_without_a_kid_a_few_keys_of_the_right_type_are_tried():
    several = [keys.generate_signing_key("ES256") for _ in range(5)]
    found = client_keys.read_keys([jwk(RSA), *map(jwk, several)])
    text = signed(several[0].private_key)

    assert client_keys.verify(text, found[:5], typs=TYPS)
    # A signature check for each of any number of keys would be a gift to whoever sends rubbish.
    with pytest.raises(jwts.InvalidTokenError, match="unknown"):
        client_keys.verify(text, found, typs=TYPS)


def test_alg_confusion_with_a_public_key_as_secret_is_refused():
    found = client_keys.read_keys([jwk(RSA)])
    public = RSA.private_key.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        text = forge({"alg": "HS256", "kid": RSA.id}, {"iss": "bank"}, secret)
        with pytest.raises(jwts.InvalidTokenError):
            client_keys.verify(text, found, typs=TYPS)


def test_rfc8725_3_1_none_is_no_algorithm():
    with pytest.raises(jwts.InvalidTokenError):
        client_keys.verify(
            forge({"alg": "none", "kid": EC.id}, {}), client_keys.read_keys([jwk(EC)]), typs=TYPS
        )


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "crit"])
def test_rfc8725_3_10_a_header_that_brings_or_locates_its_key_is_refused(member):
    found = client_keys.read_keys([jwk(EC)])
    text = signed(EC.private_key, kid=EC.id, **{member: "https://evil.example/keys"})

    with pytest.raises(jwts.InvalidTokenError, match="not allowed"):
        client_keys.verify(text, found, typs=TYPS)


def test_fapi2_5_4_1_leaves_rs256_out():
    found = client_keys.read_keys([jwk(RSA)])
    text = forge({"alg": "RS256", "kid": RSA.id}, {}, RSA.private_key)

    assert client_keys.verify(text, found, typs=TYPS) == b"{}"
    with pytest.raises(jwts.InvalidTokenError):
        client_keys.verify(text, found, typs=TYPS, algorithms=client_keys.FAPI_ALGORITHMS)
