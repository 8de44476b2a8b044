import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from stepup.ceremonies import provisioned, webauthn
from stepup.domain.authenticator import WebAuthnCredential
from stepup.domain.errors import InvalidRequestError
from tests.support.authenticator import SoftwareAuthenticator, encode
from tests.support.builders import an_authenticator

SOFTWARE = SoftwareAuthenticator(origin="https://stepup.example")
POINT = {-2: SOFTWARE.public_key[10:42], -3: SOFTWARE.public_key[45:77]}


def rsa_key(bits: int) -> dict:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    numbers = key.public_key().public_numbers()
    return {1: 3, 3: -257, -1: numbers.n.to_bytes(bits // 8, "big"), -2: b"\x01\x00\x01"}


def ec_key(curve: ec.EllipticCurve, alg: int, crv: int) -> dict:
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    size = (curve.key_size + 7) // 8
    x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
    return {1: 2, 3: alg, -1: crv, -2: x, -3: y}


def described(**changes: object) -> dict:
    return SOFTWARE.provisioning() | changes


def test_a_provisioned_credential_answers_a_challenge():
    record = provisioned.read_credential(described())
    options = {"rpId": "stepup.example", "challenge": encode(b"c" * 32)}

    verified = webauthn.verify_assertion(
        SOFTWARE.answer(options),
        expected_challenge=b"c" * 32,
        expected_rp_id="stepup.example",
        expected_origins=["https://stepup.example"],
        authenticators=[an_authenticator(record)],
        expected_user_handle=b"handle",
        require_user_verification=True,
    )

    assert verified.facts.user_verified


def test_reads_every_member():
    credential = provisioned.read_credential(
        described(
            name="My key",
            sign_count=7,
            transports=["usb", "nfc", "telepathy"],
            backup_eligible=True,
            backed_up=True,
            user_handle=encode(b"theirs"),
            aaguid="00010203-0405-0607-0809-0A0B0C0D0E0F",
        )
    )

    assert credential == WebAuthnCredential(
        credential_id=SOFTWARE.credential_id,
        public_key=SOFTWARE.public_key,
        sign_count=7,
        transports=("usb", "nfc"),
        backup_eligible=True,
        backed_up=True,
        user_handle=b"theirs",
        aaguid="00010203-0405-0607-0809-0a0b0c0d0e0f",
    )


def test_needs_no_more_than_an_identifier_and_a_key():
    minimal = {name: described()[name] for name in ("credential_id", "public_key")}

    assert provisioned.read_credential(minimal) == WebAuthnCredential(
        credential_id=SOFTWARE.credential_id, public_key=SOFTWARE.public_key
    )


@pytest.mark.parametrize(
    "key",
    [
        ec_key(ec.SECP256R1(), -7, 1),
        ec_key(ec.SECP521R1(), -36, 3),
        rsa_key(2048),
        cbor2.loads(SoftwareAuthenticator(origin="", algorithm="EdDSA").public_key),
    ],
    ids=["ES256", "ES512", "RS256", "EdDSA"],
)
def test_takes_a_key_of_every_algorithm_that_we_offer(key):
    public_key = cbor2.dumps(key)

    credential = provisioned.read_credential(described(public_key=encode(public_key)))

    assert credential.public_key == public_key


ED448 = ed448.Ed448PrivateKey.generate().public_key().public_bytes_raw()
KEYS = {
    "ES384": ec_key(ec.SECP384R1(), -35, 2),
    "Ed448": {1: 1, 3: -53, -1: 7, -2: ED448},
    "Ed448 as EdDSA": {1: 1, 3: -8, -1: 7, -2: ED448},
    "ES256 on another curve": ec_key(ec.SECP384R1(), -7, 2),
    "ES256 that says another curve": ec_key(ec.SECP256R1(), -7, 2),
    "ES256 of another type": {1: 1, 3: -7, -1: 1, **POINT},
    "a point off the curve": {1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x02" * 32},
    "a compressed point": {1: 2, 3: -7, -1: 1, -2: POINT[-2], -3: True},
    "no y": {1: 2, 3: -7, -1: 1, -2: POINT[-2]},
    "no algorithm": {1: 2, -1: 1, **POINT},
    "algorithm as text": {1: 2, 3: "ES256", -1: 1, **POINT},
    "RSA of 1024 bits": rsa_key(1024),
    "RSA without a modulus": {1: 3, 3: -257, -2: b"\x01\x00\x01"},
    "RSA with an even exponent": rsa_key(2048) | {-2: b"\x02"},
    "RS1": rsa_key(2048) | {3: -65535},
    "a list": [1, 2, 3],
    "nothing": {},
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_refuses_a_key_that_we_could_not_or_should_not_verify_with(key):
    with pytest.raises(InvalidRequestError, match="public key"):
        provisioned.read_credential(described(public_key=encode(cbor2.dumps(key))))


@pytest.mark.parametrize("raw", [b"\x04" + b"x" * 64, b"\xff", b"\xa1", b"\x81" * 2000])
def test_refuses_a_key_that_is_no_cose(raw):
    with pytest.raises(InvalidRequestError, match="public key"):
        provisioned.read_credential(described(public_key=encode(raw)))


@pytest.mark.parametrize(
    "change",
    [
        {"credential_id": None},
        {"credential_id": ""},
        {"credential_id": "AA=="},
        {"credential_id": "A" * 1365},
        {"public_key": None},
        {"public_key": "!"},
        {"sign_count": -1},
        {"sign_count": 2**32},
        {"sign_count": "0"},
        {"sign_count": True},
        {"transports": "usb"},
        {"transports": [7]},
        {"transports": ["usb"] * 17},
        {"backup_eligible": "yes"},
        {"backed_up": True},
        {"backed_up": "yes", "backup_eligible": True},
        {"user_handle": ""},
        {"user_handle": "AA=="},
        {"user_handle": "A" * 87},
        {"aaguid": "zero"},
        {"type": "totp"},
        {"attested": True},
        {"user_verified": True},
    ],
    ids=str,
)
def test_refuses_a_malformed_or_unknown_member(change):
    with pytest.raises(InvalidRequestError):
        provisioned.read_credential(described(**change))
