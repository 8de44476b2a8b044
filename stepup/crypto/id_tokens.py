"""ID tokens (OpenID Connect Core section 2): signed for a client, and read back as a hint.

Their `typ` is `JWT` and that of no other token of ours, so that neither passes for the other
(RFC 8725 section 3.12): an access token is refused here by its `typ`, an ID token by it everywhere
else. A hint names somebody and proves nothing, so an expired one will do; what it may lead to is
decided by a ceremony.
"""

import hashlib

import msgspec

from stepup.crypto import digests, jwts, own_jwts
from stepup.crypto.claims import Seconds, SubjectIdentifier, Text, moment, seconds
from stepup.crypto.jwts import InvalidTokenError
from stepup.crypto.tokens import subject_of_token
from stepup.domain.assurance import Acr, Amr
from stepup.domain.id_token import IdToken
from stepup.domain.ids import ClientId, Subject
from stepup.domain.keyring import Keyring, KeyUse, SigningKey
from stepup.domain.site import Site

__all__ = ["InvalidTokenError", "hash_of", "read_hint", "sign"]

ID_TOKEN_TYP = "JWT"  # noqa: S105  the name of a kind


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: str
    sub: Text
    sub_id: SubjectIdentifier
    aud: Text
    iat: Seconds
    exp: Seconds
    auth_time: Seconds
    acr: Text
    amr: tuple[str, ...]
    nonce: str | None = None
    at_hash: str | None = None
    sid: Text | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Claims)


def sign(token: IdToken, access_token: str, key: SigningKey, site: Site) -> str:
    """Sign an ID token that belongs to an access token."""
    claims = _Claims(
        iss=site.issuer,
        sub=subject_of_token(token.subject, site),
        sub_id=SubjectIdentifier(format="iss_sub", iss=token.subject.issuer, sub=token.subject.sub),
        aud=token.client_id,
        iat=seconds(token.issued_at),
        exp=seconds(token.expires_at),
        auth_time=seconds(token.auth_time),
        acr=token.acr,
        amr=tuple(token.amr),
        nonce=token.nonce,
        at_hash=hash_of(access_token, key.algorithm),
        sid=token.session_id,
    )
    return own_jwts.sign(_encoder.encode(claims), key, typ=ID_TOKEN_TYP)


def read_hint(text: str, keyring: Keyring, site: Site) -> IdToken:
    """Verify that an `id_token_hint` is an ID token of ours, and return what it says.

    An expired one is accepted, and one that was made for another client: we need not be among its
    audience either (Core section 3.1.2.2). Its key must still be published.

    Raises:
        InvalidTokenError: If it was changed, is not ours, or is of another kind.
    """
    key = keyring.find(jwts.peek(text).kid or "", KeyUse.ID_TOKEN)
    if key is None:
        raise InvalidTokenError("the key is not ours")
    payload = own_jwts.verify(text, key, typ=ID_TOKEN_TYP)
    try:
        claims = _decoder.decode(payload)
    except jwts.MALFORMED_JSON:
        raise InvalidTokenError("the claims are malformed") from None
    if claims.iss != site.issuer:
        raise InvalidTokenError("the token is of another issuer")
    return IdToken(
        subject=Subject(claims.sub_id.iss, claims.sub_id.sub),
        client_id=ClientId(claims.aud),
        acr=Acr(claims.acr),
        amr=tuple(Amr(value) for value in claims.amr),
        auth_time=moment(claims.auth_time),
        issued_at=moment(claims.iat),
        expires_at=moment(claims.exp),
        nonce=claims.nonce,
        session_id=claims.sid,
    )


def hash_of(access_token: str, algorithm: str) -> str:
    """Compute `at_hash`: the left half of the digest that the algorithm signs with.

    Core section 3.1.3.6; Ed25519 signs with SHA-512 (RFC 8032 section 5.1).
    """
    name = "sha512" if algorithm in {"EdDSA", "Ed25519"} else f"sha{algorithm[2:]}"
    digest = hashlib.new(name, access_token.encode("ascii")).digest()
    return digests.encode(digest[: len(digest) // 2])
