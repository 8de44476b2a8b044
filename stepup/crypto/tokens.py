"""Elevated tokens as `at+jwt` (RFC 9068), and the JWKS they are verified with.

`read_elevated` is for tokens that come back to us; services verify with the SDK, which shares no
code with this module on purpose.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from stepup.crypto import givers, jwts, keys, own_jwts
from stepup.crypto.claims import Seconds, SubjectIdentifier, Text, moment, seconds
from stepup.crypto.jwts import InvalidTokenError
from stepup.crypto.read_before import ReadBefore, Signed
from stepup.domain.assurance import Acr, Amr
from stepup.domain.confirmation import Confirmation
from stepup.domain.ids import (
    ActionName,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    KeyId,
    Subject,
    TokenId,
)
from stepup.domain.keyring import Keyring, KeyUse, SigningKey
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.domain.site import Site
from stepup.domain.token import ElevatedToken, StatusReference

__all__ = [
    "InvalidTokenError",
    "ReadToken",
    "claims_of",
    "jwks",
    "read",
    "read_elevated",
    "sign_elevated",
    "subject_of_token",
]

ELEVATED_TYP = "at+jwt"


class _ActionDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9396: the action that was approved, and the digest of what was bound to it."""

    type: Literal["stepup_action"]
    action: Text
    bound_digest: Text | None = None
    once: bool = False


class _Confirmation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 7800: the key a token is bound to, as RFC 9449 and RFC 8705 name it."""

    jkt: Text | None = None
    x5t_s256: Text | None = msgspec.field(default=None, name="x5t#S256")


class _StatusList(msgspec.Struct, frozen=True, kw_only=True):
    """Token Status List section 6.2."""

    idx: Annotated[int, msgspec.Meta(ge=0)]
    uri: Text


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    status_list: _StatusList


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: str
    sub: Text
    sub_id: SubjectIdentifier
    aud: Text
    client_id: Text
    iat: Seconds
    exp: Seconds
    jti: Text
    acr: Text
    amr: tuple[str, ...]
    auth_time: Seconds
    txn: Text
    scope: str | None = None
    min_credential_age: Seconds = 0
    fallback_for: Text | None = None
    authorization_details: tuple[_ActionDetail, ...] = ()
    cnf: _Confirmation | None = None
    status: _Status | None = None
    given_by: str | None = None


class ReadToken(NamedTuple):
    """A token whose signature holds, and the key that it was made with."""

    token: ElevatedToken
    key_id: KeyId


_read_before = ReadBefore()
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Claims)


def sign_elevated(
    token: ElevatedToken, key: SigningKey, site: Site, root: bytes | None = None
) -> str:
    """Sign an elevated token; with the root secret it says to us which authenticators gave it.

    Raises:
        ValueError: If it is valid once but names no action: nobody could know what to consume.
    """
    if token.action is None and (token.once or token.bound_digest is not None):
        raise ValueError("a token that is bound or once-only must name its action")
    claims = _claims(token, site)
    if root is not None and token.authenticators is not None:
        given_by = givers.conceal(root, token.id, token.authenticators)
        claims = msgspec.structs.replace(claims, given_by=given_by)
    return own_jwts.sign(_encoder.encode(claims), key, typ=ELEVATED_TYP)


def read_elevated(text: str, keyring: Keyring, site: Site, now: datetime) -> ElevatedToken:
    """Verify an elevated token of this site and return what it says; see `read`.

    Raises:
        InvalidTokenError: If it was changed, is not ours, has expired or is of another kind.
    """
    return read(text, keyring, site, now).token


def read(text: str, keyring: Keyring, site: Site, now: datetime) -> ReadToken:
    """Verify an elevated token of this site and return what it says, and who signed it.

    The audience is for the caller to compare: we read tokens on behalf of those they are for.

    Raises:
        InvalidTokenError: If it was changed, is not ours, has expired or is of another kind.
    """
    key = keyring.find(jwts.peek(text).kid or "", KeyUse.TOKEN)
    if key is None:
        raise InvalidTokenError("the key is not ours")
    signed = Signed.of(text, key, site, keyring.root)
    token = _read_before.find(signed)
    if token is None:
        token = _verified(text, key, site, keyring.root)
        _read_before.keep(signed, token)
    jwts.check_times(now, issued_at=token.issued_at, expires_at=token.expires_at)
    return ReadToken(token, key.id)


def _verified(text: str, key: SigningKey, site: Site, root: bytes) -> ElevatedToken:
    payload = own_jwts.verify(text, key, typ=ELEVATED_TYP)
    try:
        claims = _decoder.decode(payload)
    except jwts.MALFORMED_JSON:
        raise InvalidTokenError("the claims are malformed") from None
    if claims.iss != site.issuer:
        raise InvalidTokenError("the token is of another issuer")
    token = msgspec.structs.replace(_token(claims), authenticators=_givers(claims, root))
    if token.expires_at - token.issued_at > MAX_TOKEN_LIFETIME:
        raise InvalidTokenError("the token lives longer than any of ours")
    return token


def claims_of(token: ElevatedToken, site: Site) -> dict[str, Any]:
    """Return the claims that the token is signed with, as introspection shows them."""
    claims: dict[str, Any] = msgspec.to_builtins(_claims(token, site))
    return claims


def subject_of_token(subject: Subject, site: Site) -> str:
    """Return the `sub` claim: the upstream's own, unless two issuers could share it."""
    return subject.sub if subject.issuer == site.subject_issuer else subject.id


def jwks(keyring: Keyring) -> dict[str, list[dict[str, str]]]:
    """Return every published key as a JWK set (RFC 7517), public members only."""
    return {
        "keys": [
            {
                **keys.public_members(key.public_jwk),
                "kid": key.id,
                "use": "sig",
                "alg": key.algorithm,
            }
            for key in keyring.published
        ]
    }


def _claims(token: ElevatedToken, site: Site) -> _Claims:
    return _Claims(
        iss=site.issuer,
        sub=subject_of_token(token.subject, site),
        sub_id=SubjectIdentifier(format="iss_sub", iss=token.subject.issuer, sub=token.subject.sub),
        aud=token.audience,
        client_id=token.client_id,
        iat=seconds(token.issued_at),
        exp=seconds(token.expires_at),
        jti=token.id,
        acr=token.acr,
        amr=tuple(token.amr),
        auth_time=seconds(token.auth_time),
        txn=token.txn,
        scope=token.scope,
        min_credential_age=int(token.credential_age.total_seconds()),
        fallback_for=token.fallback_for,
        authorization_details=_details(token),
        cnf=_cnf(token.confirmation),
        status=_status(token.status),
    )


def _cnf(confirmation: Confirmation | None) -> _Confirmation | None:
    if confirmation is None:
        return None
    return _Confirmation(jkt=confirmation.jkt, x5t_s256=confirmation.x5t_s256)


def _status(status: StatusReference | None) -> _Status | None:
    if status is None:
        return None
    return _Status(status_list=_StatusList(idx=status.index, uri=status.uri))


def _details(token: ElevatedToken) -> tuple[_ActionDetail, ...]:
    if token.action is None:
        return ()
    detail = _ActionDetail(
        type="stepup_action",
        action=token.action,
        bound_digest=token.bound_digest,
        once=token.once,
    )
    return (detail,)


def _token(claims: _Claims) -> ElevatedToken:
    if len(claims.authorization_details) > 1:
        raise InvalidTokenError("the token names more than one action")
    detail = next(iter(claims.authorization_details), None)
    return ElevatedToken(
        id=TokenId(claims.jti),
        challenge_id=ChallengeId(claims.txn),
        client_id=ClientId(claims.client_id),
        subject=Subject(claims.sub_id.iss, claims.sub_id.sub),
        audience=claims.aud,
        acr=Acr(claims.acr),
        amr=tuple(Amr(value) for value in claims.amr),
        auth_time=moment(claims.auth_time),
        issued_at=moment(claims.iat),
        expires_at=moment(claims.exp),
        action=None if detail is None else ActionName(detail.action),
        bound_digest=None if detail is None else detail.bound_digest,
        once=False if detail is None else detail.once,
        scope=claims.scope,
        credential_age=timedelta(seconds=claims.min_credential_age),
        fallback_for=None if claims.fallback_for is None else Acr(claims.fallback_for),
        confirmation=_confirmation(claims.cnf),
        status=None if claims.status is None else _reference(claims.status.status_list),
    )


def _confirmation(cnf: _Confirmation | None) -> Confirmation | None:
    if cnf is None:
        return None
    try:
        return Confirmation(jkt=cnf.jkt, x5t_s256=cnf.x5t_s256)
    except ValueError:
        # A binding that nobody understands must not be read as none (RFC 7800 section 3.1).
        raise InvalidTokenError("the token is bound to no known kind of key") from None


def _givers(claims: _Claims, root: bytes) -> tuple[AuthenticatorId, ...] | None:
    if claims.given_by is None:
        return None
    try:
        return givers.reveal(root, TokenId(claims.jti), claims.given_by)
    except ValueError:
        # Under another root: whatever ends any authenticator of the subject ends it.
        return None


def _reference(listed: _StatusList) -> StatusReference:
    return StatusReference(index=listed.idx, uri=listed.uri)
