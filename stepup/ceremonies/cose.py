"""The public keys we take: four COSE algorithms, each with the one curve it may use.

Offered is what py_webauthn verifies and Level 3 section 5.8.5 allows; ES384 and Ed448 are neither
offered nor accepted (docs/divergences.md).
"""

from collections.abc import Mapping

from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_cbor,
)
from webauthn.helpers.cose import COSECRV, COSEKTY, COSEAlgorithmIdentifier

# In the order of our preference, which authenticators follow: small and fast first.
ALGORITHMS: tuple[COSEAlgorithmIdentifier, ...] = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
    COSEAlgorithmIdentifier.ECDSA_SHA_512,
)

_MIN_RSA_BITS = 2048
_KTY, _ALG, _CRV, _MODULUS = 1, 3, -1, -1
# WebAuthn Level 3 section 5.8.5 ties each algorithm to one curve, which the library does not check.
_KEY_TYPES: Mapping[int, tuple[int, int | None]] = {
    COSEAlgorithmIdentifier.ECDSA_SHA_256: (COSEKTY.EC2, COSECRV.P256),
    COSEAlgorithmIdentifier.ECDSA_SHA_512: (COSEKTY.EC2, COSECRV.P521),
    COSEAlgorithmIdentifier.EDDSA: (COSEKTY.OKP, COSECRV.ED25519),
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256: (COSEKTY.RSA, None),
}


class UnsupportedKeyError(ValueError):
    """The bytes are no public key of an algorithm that we offer."""


def check_public_key(public_key: bytes) -> None:
    """Refuse a COSE key that we could not, or should not, verify with.

    Raises:
        UnsupportedKeyError: If it is malformed, of another algorithm or curve, or too weak.
    """
    members = _members(public_key)
    algorithm = members.get(_ALG)
    expected = _KEY_TYPES.get(algorithm) if isinstance(algorithm, int) else None
    if expected is None:
        raise UnsupportedKeyError("the algorithm is not one that we offer")
    kty, curve = expected
    if members.get(_KTY) != kty or (curve is not None and members.get(_CRV) != curve):
        raise UnsupportedKeyError("the key type or curve does not belong to the algorithm")
    if kty == COSEKTY.RSA and _bits(members.get(_MODULUS)) < _MIN_RSA_BITS:
        raise UnsupportedKeyError(f"an RSA key needs {_MIN_RSA_BITS} bits")
    try:
        decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    except Exception:  # noqa: BLE001  hostile numbers make the libraries raise many things
        raise UnsupportedKeyError("the key is not on its curve or is malformed") from None


def _members(public_key: bytes) -> Mapping[object, object]:
    # The library also takes U2F's raw points, which are no COSE keys: a map is demanded here.
    try:
        members = parse_cbor(public_key)
    except Exception:  # noqa: BLE001  hostile CBOR makes the library raise many things
        raise UnsupportedKeyError("the key is not CBOR") from None
    if not isinstance(members, dict):
        raise UnsupportedKeyError("the key is not a COSE map")
    return members


def _bits(modulus: object) -> int:
    return int.from_bytes(modulus, "big").bit_length() if isinstance(modulus, bytes) else 0
