"""Signed JWTs: the one place that calls PyJWT.

PyJWT compares `exp`, `nbf` and `iat` with its own clock, so its claims layer is left out: its
algorithms sign and check signatures, and the times are compared here with the time that comes in.
Its JWS layer is left out too: it takes a token apart character by character, in Python, which costs
as much as the signature. What a token must say is the business of the modules that own a `typ`; no
two kinds share one, so that no token passes for another (RFC 8725 section 3.12).
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import jwt
import msgspec
from jwt.algorithms import Algorithm, OKPAlgorithm

from stepup.crypto import digests

# An elevated token has about 900 characters and an ID token with many claims a few thousand;
# whoever sends more wants us to work.
MAX_TOKEN_CHARACTERS = 16_384
# Two of our machines never agree to the second about what "now" is.
CLOCK_SKEW = timedelta(seconds=5)

# A header that brings or locates its own key asks us to trust whoever wrote it (RFC 8725 3.10),
# and a critical extension we do not know must be refused (RFC 7515 section 4.1.11).
_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})

# All that hostile bytes make the JSON decoder raise. How deep it nests before it gives up is the
# interpreter's business; what it does read is refused by what is asked of it next.
MALFORMED_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Decoded = TypeVar("Decoded")

_jws = jwt.PyJWS()
# RFC 9864 section 2.2: EdDSA by the name that says with which curve. Who reads a key looks at that.
_jws.register_algorithm("Ed25519", OKPAlgorithm())


class InvalidTokenError(Exception):
    """The token was changed, has expired, or is not what it is taken for."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The header members that choose a key; nothing in it is verified yet."""

    alg: str
    typ: str | None = None
    kid: str | None = None


_header_decoder = msgspec.json.Decoder(Header)
_object_decoder = msgspec.json.Decoder(dict[str, Any])


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key object of the cryptography library (or bytes for HS256) and its one algorithm."""

    algorithm: str
    key: Any

    def __repr__(self) -> str:
        return f"Key({self.algorithm}, ***)"


def sign(claims: bytes, key: Key, *, typ: str, key_id: str | None = None) -> str:
    """Sign claims that are JSON already."""
    message = f"{_header(key.algorithm, typ, key_id)}.{digests.encode(claims)}"
    algorithm, prepared = _prepared(key)
    return f"{message}.{digests.encode(algorithm.sign(message.encode(), prepared))}"


def peek(text: str) -> Header:
    """Read the header without verifying anything, to choose a key.

    Raises:
        InvalidTokenError: If the text is too long or is no JWT.
    """
    return _header_of(_split(text)[0])


def verify(text: str, key: Key, *, typs: Collection[str | None], brings_key: bool = False) -> bytes:
    """Verify the signature and the kind, and return the claims as JSON.

    With `brings_key` the header may hold `jwk`, as that of a DPoP proof must.

    Raises:
        InvalidTokenError: If the signature, the algorithm, the `typ` or the header does not hold.
    """
    parts = _split(text)
    header = _header_of(parts[0])
    # One algorithm per key: what the header says can only agree (RFC 8725 section 3.1).
    if header.alg != key.algorithm:
        raise InvalidTokenError("the algorithm is not the key's")
    try:
        payload, signature = digests.decode(parts[1]), digests.decode(parts[2])
        algorithm, prepared = _prepared(key)
        holds = algorithm.verify(text.rpartition(".")[0].encode(), prepared, signature)
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError):
        raise InvalidTokenError("the signature does not hold") from None
    if not holds:
        raise InvalidTokenError("the signature does not hold")
    if header.typ not in typs:
        raise InvalidTokenError("the typ is of another kind of token")
    forbidden = _FORBIDDEN_HEADERS - {"jwk"} if brings_key else _FORBIDDEN_HEADERS
    if not forbidden.isdisjoint(_names_in(parts[0])):
        raise InvalidTokenError("the header has members that are not allowed")
    return payload


def check_times(
    now: datetime,
    *,
    issued_at: datetime | None,
    expires_at: datetime,
    not_before: datetime | None = None,
    leeway: timedelta = timedelta(0),
) -> None:
    """Compare a token's times with the time given; at `expires_at` it has expired already.

    Raises:
        InvalidTokenError: If it has expired, is not valid yet, or comes from the future.
    """
    # RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now >= expires_at + leeway:
        raise InvalidTokenError("the token has expired")
    if not_before is not None and now < not_before - leeway:
        raise InvalidTokenError("the token is not valid yet")
    if issued_at is not None and now < issued_at - max(leeway, CLOCK_SKEW):
        raise InvalidTokenError("the token was issued in the future")


def _split(text: str) -> list[str]:
    parts = text.split(".", 3)
    if len(text) > MAX_TOKEN_CHARACTERS or not text.isascii() or len(parts) != 3:
        raise InvalidTokenError("not a JWT")
    return parts


def _header_of(part: str) -> Header:
    return _read(_header_decoder, part)


def _names_in(part: str) -> Collection[str]:
    return _read(_object_decoder, part).keys()


def _read(decoder: msgspec.json.Decoder[Decoded], part: str) -> Decoded:
    try:
        return decoder.decode(digests.decode(part))
    except (ValueError, *MALFORMED_JSON):
        raise InvalidTokenError("the header is malformed") from None


# A few kinds of token, and more keys than a ring has between two rotations.
@lru_cache(maxsize=64)
def _header(algorithm: str, typ: str, key_id: str | None) -> str:
    header = {"alg": algorithm, "typ": typ}
    return digests.encode(
        msgspec.json.encode(header if key_id is None else {**header, "kid": key_id})
    )


def _prepared(key: Key) -> tuple[Algorithm, Any]:
    """Check that a key is of its algorithm's kind and curve, and long enough.

    Raises:
        jwt.InvalidKeyError: If it is not.
    """
    algorithm = _jws.get_algorithm_by_name(key.algorithm)
    if isinstance(key.key, bytes):
        return algorithm, _shared_secret(key.algorithm, key.key)
    return algorithm, _checked(algorithm, key.key)


# PyJWT tries to read shared secrets as public keys, which takes longer than the digest.
@lru_cache(maxsize=16)
def _shared_secret(algorithm: str, secret: bytes) -> Any:
    return _checked(_jws.get_algorithm_by_name(algorithm), secret)


def _checked(algorithm: Algorithm, key: Any) -> Any:
    prepared = algorithm.prepare_key(key)
    if trouble := algorithm.check_key_length(prepared):
        raise jwt.InvalidKeyError(trouble)
    return prepared
