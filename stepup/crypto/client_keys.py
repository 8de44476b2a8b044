"""The public keys of a client: what its JWK set says, and which of them a JWT may verify with."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from stepup.crypto import certificates, jwts
from stepup.crypto.keys import public_members

ALGORITHMS = frozenset({"ES256", "PS256", "RS256", "EdDSA", "Ed25519"})
"""What a client may sign with: asymmetric, so that none of it needs a secret of ours."""
FAPI_ALGORITHMS = ALGORITHMS - {"RS256"}
"""The same under the FAPI 2.0 Security Profile (section 5.4.1)."""

# A client has a key or two, and as many again while it rotates.
_MAX_KEYS = 32
# A JWT without a `kid` costs a signature check for each key that it could mean.
_MAX_TRIED = 4
_MIN_RSA_BITS = 2048
# RFC 7518 sections 6.2.2, 6.3.2 and 6.4: whatever only the owner may know.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA = frozenset({"PS256", "RS256"})
# One algorithm by its two names (RFC 9864 section 2.2): a key under one verifies both.
_ED25519 = frozenset({"EdDSA", "Ed25519"})
_BY_CURVE: Mapping[str, frozenset[str]] = {"P-256": frozenset({"ES256"}), "Ed25519": _ED25519}


class ClientKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key of a client, the algorithms that it verifies, and its certificate if given."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any
    certificate: bytes | None = None


class _Jwk(msgspec.Struct, frozen=True, kw_only=True):
    kty: str
    crv: str | None = None
    alg: str | None = None
    use: str = "sig"
    kid: str | None = None
    x5c: tuple[str, ...] = ()


def read_keys(members: Sequence[Mapping[str, Any]]) -> tuple[ClientKey, ...]:
    """Read the members of a client's JWK set.

    Keys for encryption, and of types that we do not verify with, are left out (RFC 7517 section 5).

    Raises:
        ValueError: If it holds a secret, a `kid` twice, a weak or a broken key, or far too many.
    """
    if len(members) > _MAX_KEYS:
        raise ValueError(f"more than {_MAX_KEYS} keys")
    found = []
    kids: set[str] = set()
    for each in members:
        jwk = _jwk_of(each)
        if jwk.kid is not None and jwk.kid in kids:
            raise ValueError("two keys have the same kid")
        kids.add(jwk.kid or "")
        key = _key_of(jwk, each)
        if key is not None:
            found.append(key)
    return tuple(found)


def choose(
    keys: Sequence[ClientKey], header: jwts.Header, algorithms: frozenset[str] = ALGORITHMS
) -> tuple[jwts.Key, ...]:
    """Return the keys that a JWT may verify with: the one it names, or a few of the right type."""
    if header.alg not in algorithms:
        return ()
    possible = [
        key
        for key in keys
        if header.alg in key.algorithms and (header.kid is None or header.kid == key.kid)
    ]
    if len(possible) > _MAX_TRIED:
        return ()
    return tuple(jwts.Key(algorithm=header.alg, key=key.key) for key in possible)


def verify(
    text: str,
    keys: Sequence[ClientKey],
    *,
    typs: frozenset[str | None],
    algorithms: frozenset[str] = ALGORITHMS,
) -> bytes:
    """Verify a JWT that a client signed, and return its claims as JSON.

    Raises:
        InvalidTokenError: If none of its keys verifies it, or it is of another kind.
    """
    refusal = jwts.InvalidTokenError("the key is unknown")
    for key in choose(keys, jwts.peek(text), algorithms):
        try:
            return jwts.verify(text, key, typs=typs)
        except jwts.InvalidTokenError as error:
            refusal = error
    raise refusal


def _jwk_of(members: Mapping[str, Any]) -> _Jwk:
    if not _PRIVATE.isdisjoint(members):
        raise ValueError("a key has private members; whoever has them is the client")
    try:
        jwk = msgspec.convert(members, _Jwk)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a JWK: {error}") from None
    if jwk.kty == "oct":
        raise ValueError("a symmetric key is no public key")
    return jwk


def _key_of(jwk: _Jwk, members: Mapping[str, Any]) -> ClientKey | None:
    algorithms = _algorithms_of(jwk)
    if not algorithms or jwk.use != "sig":
        return None
    try:
        key = jwt.PyJWK(public_members(members)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("a key cannot be read") from None
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise ValueError(f"an RSA key has fewer than {_MIN_RSA_BITS} bits")
    return ClientKey(
        kid=jwk.kid, algorithms=algorithms, key=key, certificate=_certificate_of(jwk, key)
    )


def _algorithms_of(jwk: _Jwk) -> frozenset[str]:
    match jwk.kty:
        case "RSA":
            possible = _RSA
        case "EC" | "OKP":
            possible = _BY_CURVE.get(jwk.crv or "", frozenset())
        case _:
            possible = frozenset()
    if jwk.alg is None:
        return possible
    return possible & (_ED25519 if jwk.alg in _ED25519 else {jwk.alg})


def _certificate_of(jwk: _Jwk, key: Any) -> bytes | None:
    if not jwk.x5c:
        return None
    try:
        der = b64decode(jwk.x5c[0], validate=True)
        theirs = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("an x5c cannot be read") from None
    # RFC 7517 section 4.7: the first certificate is of the key itself.
    if certificates.public_key_info(theirs) != certificates.public_key_info(key):
        raise ValueError("an x5c is of another key")
    return der
