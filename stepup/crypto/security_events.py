"""Security event tokens (RFC 8417) as SSF 1.0 section 4.1 profiles them: signed, and read.

They share no `typ` and no required claim with any token of ours, so that none passes for another
(RFC 8725 section 3.12): a SET has neither `sub` nor `exp`, and exactly one event.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from stepup.crypto import jwts, own_jwts
from stepup.crypto.claims import Date, moment, seconds
from stepup.crypto.upstream import UpstreamKey
from stepup.domain.keyring import SigningKey
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import SecurityEvent

SET_TYP = "secevent+jwt"

# RFC 7515 section 4.1.9 lets a sender write the whole media type.
_TYPS = (SET_TYP, f"application/{SET_TYP}")
_FUTURE = timedelta(minutes=5)

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: _Text
    jti: _Text
    iat: Date
    events: dict[str, dict[str, Any]]
    aud: str | tuple[str, ...] = ()
    sub_id: dict[str, Any] | None = None
    txn: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Claims)
_members = msgspec.json.Decoder(dict[str, object])


def claims_of(event: SecurityEvent) -> bytes:
    """Write what a SET says, as JSON."""
    audiences = event.audiences
    return _encoder.encode(
        _Claims(
            iss=event.issuer,
            jti=event.id,
            iat=seconds(event.issued_at),
            aud=audiences[0] if len(audiences) == 1 else audiences,
            events={str(event.type): dict(event.payload)},
            sub_id=None if event.sub_id is None else dict(event.sub_id),
            txn=event.transaction,
        )
    )


def sign(claims: bytes, key: SigningKey) -> str:
    """Sign what `claims_of` has written."""
    return own_jwts.sign(claims, key, typ=SET_TYP)


def read(  # noqa: PLR0913  each is a separate expectation of the server
    text: str,
    keys: Mapping[str, UpstreamKey],
    *,
    expected_issuer: str,
    expected_audiences: Collection[str],
    algorithms: frozenset[str],
    now: datetime,
    oldest: timedelta,
) -> SecurityEvent:
    """Verify a SET of a transmitter and return what it says.

    Raises:
        SetRefusedError: If the signature, the issuer, the audience or the form does not hold, or
            it is older than `oldest`.
    """
    try:
        payload = jwts.verify(text, _choose(text, keys, algorithms), typs=_TYPS)
    except jwts.InvalidTokenError as error:
        raise SetRefusedError(SetError.INVALID_KEY, f"{error}.") from None
    event = parse(payload)
    if event.issuer != expected_issuer:
        raise SetRefusedError(SetError.INVALID_ISSUER, "The SET is of another issuer.")
    if set(expected_audiences).isdisjoint(event.audiences):
        raise SetRefusedError(SetError.INVALID_AUDIENCE, "The SET is for another audience.")
    if not now - oldest <= event.issued_at <= now + _FUTURE:
        raise SetRefusedError(SetError.INVALID_REQUEST, "The SET is too old, or of the future.")
    return event


def parse(claims: bytes) -> SecurityEvent:
    """Read the claims of a SET, signed by nobody yet.

    Raises:
        SetRefusedError: If they are not those of a SET with one event.
    """
    try:
        read_ = _decoder.decode(claims)
        # SSF 1.0 section 4.1: the subject is in `sub_id`, and an event does not expire. Whoever
        # sends either made another kind of token of it.
        if not {"sub", "exp"}.isdisjoint(_members.decode(claims)):
            raise SetRefusedError(SetError.INVALID_REQUEST, "A SET has neither sub nor exp.")
    except jwts.MALFORMED_JSON:
        raise SetRefusedError(SetError.INVALID_REQUEST, "The claims are not a SET's.") from None
    if len(read_.events) != 1:
        raise SetRefusedError(SetError.INVALID_REQUEST, "A SET tells of exactly one event.")
    [(kind, payload)] = read_.events.items()
    return SecurityEvent(
        issuer=read_.iss,
        id=read_.jti,
        issued_at=moment(read_.iat),
        audiences=(read_.aud,) if isinstance(read_.aud, str) else read_.aud,
        type=kind,
        payload=payload,
        sub_id=read_.sub_id,
        transaction=read_.txn,
    )


def _choose(text: str, keys: Mapping[str, UpstreamKey], algorithms: frozenset[str]) -> jwts.Key:
    header = jwts.peek(text)
    key = keys.get(header.kid or "")
    if key is None:
        raise jwts.InvalidTokenError("The key is unknown")
    # By what the key is and what the operator allows; the header can only agree (RFC 8725 3.1).
    if header.alg not in algorithms & key.algorithms:
        raise jwts.InvalidTokenError("The algorithm is not allowed")
    return jwts.Key(algorithm=header.alg, key=key.key)
