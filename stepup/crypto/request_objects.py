"""Request objects: an authorization request that its client has signed (RFC 9101).

An object without a `typ` and a client assertion (RFC 7523) look alike, and both come from the same
key. An assertion names its client as `sub`, and here a `sub` is refused (RFC 9101 section 10.8), so
neither passes for the other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from stepup.crypto import client_keys, jwts
from stepup.crypto.claims import Date, moment
from stepup.crypto.client_keys import ClientKey
from stepup.domain.checked_request import SignedObject
from stepup.domain.errors import InvalidRequestError
from stepup.domain.unambiguous_json import check_unambiguous

# Objects of OpenID Connect Core section 6, and those in RFC 9101's own examples, have none.
TYPS = frozenset({None, "JWT", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"})

MAX_AHEAD = timedelta(minutes=60)
"""How far ahead an object may end, and how long ago it may have begun (FAPI Message Signing)."""
LEEWAY = timedelta(seconds=30)
"""How far ahead a client's clock may be, as for its assertions."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
# Of the JWT itself, not of the request.
_ENVELOPE = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti"})


class ExpectedObject(msgspec.Struct, frozen=True, kw_only=True):
    """What a request object must say."""

    client_id: str
    issuer: str
    algorithms: frozenset[str] = client_keys.ALGORITHMS
    now: datetime


class RequestObject(msgspec.Struct, frozen=True):
    """An object that holds: its parameters as text; `named` when its client gave it a name."""

    parameters: Mapping[str, str]
    named: SignedObject | None

    def __repr__(self) -> str:
        return "RequestObject(***)"


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    aud: str | tuple[str, ...]
    exp: Date
    client_id: str
    iat: Date | None = None
    nbf: Date | None = None
    jti: _Name | None = None


_claims = msgspec.json.Decoder(_Claims)
_members = msgspec.json.Decoder(dict[str, Any])


def read_request_object(
    text: str, keys: Sequence[ClientKey], expected: ExpectedObject
) -> RequestObject:
    """Verify a request object; that it was not used before is for the caller to ask.

    Raises:
        InvalidTokenError: If signature, kind, client, audience or time does not hold, or something
            in it is no parameter of a request.
    """
    payload = client_keys.verify(text, keys, typs=TYPS, algorithms=expected.algorithms)
    try:
        check_unambiguous(payload)
        claims, members = _claims.decode(payload), _members.decode(payload)
    except (InvalidRequestError, *jwts.MALFORMED_JSON):
        raise jwts.InvalidTokenError("the claims are malformed") from None
    if not claims.iss == claims.client_id == expected.client_id:
        raise jwts.InvalidTokenError("the object is of another client")
    if expected.issuer not in ({claims.aud} if isinstance(claims.aud, str) else set(claims.aud)):
        raise jwts.InvalidTokenError("the object is for another audience")
    # RFC 9101 section 4 for the first two, section 10.8 for the last.
    if not {"request", "request_uri", "sub"}.isdisjoint(members):
        raise jwts.InvalidTokenError("the object holds a member that cannot be in it")
    named = _timely(claims, expected.now)
    return RequestObject(
        {
            name: _as_text(value)
            for name, value in members.items()
            if name not in _ENVELOPE and value is not None
        },
        named,
    )


def _as_text(value: Any) -> str:
    """Write a member as a form would carry it: OpenID Connect Core section 6.1 has them as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _timely(claims: _Claims, now: datetime) -> SignedObject | None:
    ends = moment(claims.exp)
    begins = [moment(each) for each in (claims.iat, claims.nbf) if each is not None]
    if now >= ends:
        raise jwts.InvalidTokenError("the object has expired")
    if ends > now + MAX_AHEAD:
        raise jwts.InvalidTokenError("the object is good for too long")
    if any(begin > now + LEEWAY for begin in begins):
        raise jwts.InvalidTokenError("the object comes from the future")
    if any(begin < now - MAX_AHEAD for begin in begins):
        raise jwts.InvalidTokenError("the object is too old")
    if claims.jti is None:
        return None
    # Whoever saw it earlier than any of these would have refused it.
    since = max([ends - MAX_AHEAD, *(begin - LEEWAY for begin in begins)])
    return SignedObject(claims.jti, since, ends)
