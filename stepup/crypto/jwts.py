"""Signed JWTs: the one place that calls PyJWT.

PyJWT compares `exp`, `nbf` and `iat` with its own clock, so its claims layer is left out: its JWS
layer checks the signature, and the times are compared here with the time that comes in. What a
token must say is the business of the modules that own a `typ`; no two kinds share one, so that
no token passes for another (RFC 8725 section 3.12).
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import jwt
import msgspec

from stepup.crypto import digests

# An elevated token has about 900 characters and an ID token with many claims a few thousand;
# whoever sends more wants us to work.
MAX_TOKEN_CHARACTERS = 16_384
# Two of our machines never agree to the second about what "now" is.
CLOCK_SKEW = timedelta(seconds=5)

# A header that brings or locates its own key asks us to trust whoever wrote it (RFC 8725 3.10),
# and a critical extension we do not know must be refused (RFC 7515 section 4.1.11).
_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})

# All that hostile bytes make the JSON decoder raise; nesting is cut off by the interpreter.
MALFORMED_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_jws = jwt.PyJWS(options={"enforce_minimum_key_length": True})


class InvalidTokenError(Exception):
    """The token was changed, has expired, or is not what it is taken for."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The header members that choose a key; nothing in it is verified yet."""

    alg: str
    typ: str | None = None
    kid: str | None = None


_header_decoder = msgspec.json.Decoder(Header)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key object of the cryptography library (or bytes for HS256) and its one algorithm."""

    algorithm: str
    key: Any

    def __repr__(self) -> str:
        return f"Key({self.algorithm}, ***)"


def sign(claims: bytes, key: Key, *, typ: str, key_id: str | None = None) -> str:
    """Sign claims that are JSON already."""
    headers = {"typ": typ} if key_id is None else {"typ": typ, "kid": key_id}
    return _jws.encode(claims, key.key, algorithm=key.algorithm, headers=headers)


def peek(text: str) -> Header:
    """Read the header without verifying anything, to choose a key.

    Raises:
        InvalidTokenError: If the text is too long or is no JWT.
    """
    if len(text) > MAX_TOKEN_CHARACTERS or not text.isascii() or text.count(".") != 2:
        raise InvalidTokenError("not a JWT")
    try:
        return _header_decoder.decode(digests.decode(text.partition(".")[0]))
    except (ValueError, *MALFORMED_JSON):
        raise InvalidTokenError("the header is malformed") from None


def verify(text: str, key: Key, *, typs: Collection[str | None]) -> bytes:
    """Verify the signature and the kind, and return the claims as JSON.

    Raises:
        InvalidTokenError: If the signature, the algorithm, the `typ` or the header does not hold.
    """
    peek(text)
    try:
        # One algorithm per key: what the header says can only agree (RFC 8725 section 3.1).
        token = _jws.decode_complete(text, key.key, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidTokenError("the signature does not hold") from None
    header: dict[str, object] = token["header"]
    if header.get("typ") not in typs:
        raise InvalidTokenError("the typ is of another kind of token")
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise InvalidTokenError("the header has members that are not allowed")
    payload: bytes = token["payload"]
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
