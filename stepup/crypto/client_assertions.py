"""Client assertions: a JWT by which a client says that it is calling (RFC 7523 section 3)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from stepup.crypto import client_keys, digests, jwts
from stepup.crypto.claims import Date, moment
from stepup.crypto.client_keys import ClientKey

# Absent and `JWT` are RFC 7523's own; the third one is what its successor wants. Everything else
# that a client signs (request objects, proofs) is for something else (RFC 8725 section 3.12).
TYPS = frozenset({None, "JWT", "client-authentication+jwt"})

MAX_AHEAD = timedelta(minutes=10)
"""How far ahead an assertion may end: for so long its identifier is remembered."""
LEEWAY = timedelta(seconds=30)
"""How far ahead a client's clock may be. FAPI 2.0 (section 5.3.2.1) wants 10 s and forbids 60."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What an assertion must say.

    `issuer` is the one audience, as text (FAPI 2.0 section 5.3.2.1, number 8). `endpoints` are
    those that a client may name besides, and then in a list too; empty for a strict client.
    """

    client_id: str
    issuer: str
    endpoints: frozenset[str] = frozenset()
    algorithms: frozenset[str] = client_keys.ALGORITHMS
    now: datetime


class Assertion(msgspec.Struct, frozen=True):
    """An assertion that holds: when somebody can have seen it first, and until when it would do."""

    id: str
    since: datetime
    until: datetime


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: Date
    jti: _Name
    iat: Date | None = None
    nbf: Date | None = None


class _Subject(msgspec.Struct, frozen=True):
    sub: _Name


_claims = msgspec.json.Decoder(_Claims)
_subject = msgspec.json.Decoder(_Subject)


def peek_client(text: str) -> tuple[str, str | None]:
    """Read whose assertion it is said to be, and which key it names; nothing of it is verified.

    Raises:
        InvalidTokenError: If it is no JWT that says it.
    """
    header = jwts.peek(text)
    try:
        return _subject.decode(digests.decode(text.split(".")[1])).sub, header.kid
    except (ValueError, *jwts.MALFORMED_JSON):
        raise jwts.InvalidTokenError("not a client assertion") from None


def read_assertion(text: str, keys: Sequence[ClientKey], expected: Expected) -> Assertion:
    """Verify an assertion; that it was not seen before is for the caller to ask.

    Raises:
        InvalidTokenError: If signature, kind, issuer, subject, audience or time does not hold.
    """
    payload = client_keys.verify(text, keys, typs=TYPS, algorithms=expected.algorithms)
    try:
        claims = _claims.decode(payload)
    except jwts.MALFORMED_JSON:
        raise jwts.InvalidTokenError("the claims are malformed") from None
    if not claims.iss == claims.sub == expected.client_id:
        raise jwts.InvalidTokenError("the assertion is of another client")
    if not _is_for_us(claims.aud, expected):
        raise jwts.InvalidTokenError("the assertion is for another audience")
    return _timely(claims, expected.now)


def _is_for_us(audience: str | tuple[str, ...], expected: Expected) -> bool:
    if isinstance(audience, str):
        return audience == expected.issuer or audience in expected.endpoints
    return bool(expected.endpoints) and not {expected.issuer, *expected.endpoints}.isdisjoint(
        audience
    )


def _timely(claims: _Claims, now: datetime) -> Assertion:
    ends = moment(claims.exp)
    begins = [moment(each) for each in (claims.iat, claims.nbf) if each is not None]
    if now >= ends:
        raise jwts.InvalidTokenError("the assertion has expired")
    if ends > now + MAX_AHEAD:
        raise jwts.InvalidTokenError("the assertion is good for too long")
    if any(begin > now + LEEWAY for begin in begins):
        raise jwts.InvalidTokenError("the assertion comes from the future")
    # Whoever saw it earlier than either would have refused it.
    since = max([ends - MAX_AHEAD, *(begin - LEEWAY for begin in begins)])
    return Assertion(claims.jti, since, ends)
