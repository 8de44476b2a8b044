"""Access tokens of clients themselves, for our own endpoints (RFC 9068, RFC 6749 section 4.4).

They are `at+jwt` like elevated tokens, and can never pass for one: nobody has stepped up, so they
have neither `acr` nor `auth_time` nor a subject identifier, without which no reader of ours and no
SDK takes a token; and their audience is our own interface, which is nobody else's.
"""

from datetime import datetime
from typing import Any

import msgspec

from stepup.crypto import jwts, own_jwts
from stepup.crypto.claims import Seconds, Text, moment, seconds
from stepup.crypto.jwts import InvalidTokenError
from stepup.crypto.tokens import ELEVATED_TYP
from stepup.domain.confirmation import Confirmation
from stepup.domain.ids import ClientId, KeyId
from stepup.domain.keyring import Keyring, KeyUse, SigningKey

__all__ = ["InvalidTokenError", "MachineToken", "read", "sign"]


class MachineToken(msgspec.Struct, frozen=True, kw_only=True):
    """What such a token says, and which key signed it."""

    id: str
    key_id: KeyId
    client_id: ClientId
    scopes: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    confirmation: Confirmation | None = None


class _Confirmation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    jkt: Text | None = None
    x5t_s256: Text | None = msgspec.field(default=None, name="x5t#S256")


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: Text
    sub: Text
    aud: Text
    client_id: Text
    scope: Text
    iat: Seconds
    exp: Seconds
    jti: Text
    cnf: _Confirmation | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Claims)
_members = msgspec.json.Decoder(dict[str, Any])
# What an elevated token says of a person.
_OF_A_PERSON = frozenset({"acr", "auth_time", "sub_id", "amr"})


def sign(token: MachineToken, key: SigningKey, *, issuer: str, audience: str) -> str:
    """Sign a token; its subject is the client itself (RFC 9068 section 2.2)."""
    cnf = token.confirmation
    claims = _Claims(
        iss=issuer,
        sub=token.client_id,
        aud=audience,
        client_id=token.client_id,
        scope=" ".join(sorted(token.scopes)),
        iat=seconds(token.issued_at),
        exp=seconds(token.expires_at),
        jti=token.id,
        cnf=None if cnf is None else _Confirmation(jkt=cnf.jkt, x5t_s256=cnf.x5t_s256),
    )
    return own_jwts.sign(_encoder.encode(claims), key, typ=ELEVATED_TYP)


def read(
    text: str, keyring: Keyring, *, expected_issuer: str, expected_audience: str, now: datetime
) -> MachineToken:
    """Verify a token that a client shows at our own interface.

    Raises:
        InvalidTokenError: If it was changed, has expired, or is of another kind.
    """
    key = keyring.find(jwts.peek(text).kid or "", KeyUse.TOKEN)
    if key is None:
        raise InvalidTokenError("the key is unknown")
    payload = own_jwts.verify(text, key, typ=ELEVATED_TYP)
    try:
        claims = _decoder.decode(payload)
        members = _members.decode(payload)
    except jwts.MALFORMED_JSON:
        raise InvalidTokenError("the claims are malformed") from None
    is_ours = claims.iss == expected_issuer and claims.aud == expected_audience
    if not is_ours or claims.sub != claims.client_id or not _OF_A_PERSON.isdisjoint(members):
        raise InvalidTokenError("the token is for something else")
    token = _token(claims, key.id)
    jwts.check_times(now, issued_at=token.issued_at, expires_at=token.expires_at)
    return token


def _token(claims: _Claims, key_id: KeyId) -> MachineToken:
    try:
        cnf = claims.cnf and Confirmation(jkt=claims.cnf.jkt, x5t_s256=claims.cnf.x5t_s256)
    except ValueError:
        raise InvalidTokenError("the binding is malformed") from None
    return MachineToken(
        id=claims.jti,
        key_id=key_id,
        client_id=ClientId(claims.client_id),
        scopes=frozenset(claims.scope.split()),
        issued_at=moment(claims.iat),
        expires_at=moment(claims.exp),
        confirmation=cnf or None,
    )
