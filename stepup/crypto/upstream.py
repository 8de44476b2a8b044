"""Subject tokens: what another issuer says about who the subject is.

Fetching keys is the adapter's work; here a JWK set becomes keys, and a token becomes claims or a
refusal. Nothing in a token may choose how it is verified beyond naming its key.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from stepup.crypto import digests, jwts
from stepup.crypto.claims import Date, moment
from stepup.domain.errors import InvalidSubjectTokenError

LEEWAY = timedelta(seconds=5)
# Providers publish a handful; a set of thousands is an attack on our memory.
MAX_KEYS = 64

# ID tokens often have no typ at all; access tokens are RFC 9068's. Everything else that an issuer
# signs (logout tokens, security events, proofs) is no statement about who is here.
_TYPS = (None, "JWT", "at+jwt", "application/at+jwt")
_MIN_RSA_BITS = 2048

# What a key can verify, from its type when the JWK names no algorithm. Symmetric ones are absent:
# whoever can read the set could sign (RFC 8725 section 2.1).
_BY_CURVE: Mapping[str, str] = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
}
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})


class UpstreamKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key of an upstream issuer, and the algorithms it may verify."""

    algorithms: frozenset[str]
    key: Any


class _Jwk(msgspec.Struct, frozen=True, kw_only=True):
    kty: str
    crv: str | None = None
    alg: str | None = None
    use: str = "sig"
    kid: str = ""


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    aud: str | tuple[str, ...]
    exp: Date
    iat: Date | None = None
    nbf: Date | None = None


class _Issuer(msgspec.Struct, frozen=True):
    iss: str


_everything = msgspec.json.Decoder(dict[str, object])
_claims = msgspec.json.Decoder(_Claims)
_issuer = msgspec.json.Decoder(_Issuer)


def keys_of(jwk_set: Mapping[str, Any]) -> dict[str, UpstreamKey]:
    """Read a JWK set; keys that cannot verify signatures are left out (RFC 7517 section 5).

    A key without `kid` is named by the empty text, and is good for tokens without one.

    Raises:
        ValueError: If it is no JWK set, or is unreasonably large.
    """
    entries = jwk_set.get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError("not a JWK set")
    keys: dict[str, UpstreamKey] = {}
    for entry in entries:
        try:
            jwk = msgspec.convert(entry, _Jwk)
        except msgspec.ValidationError:
            continue
        key = _key_of(jwk, entry)
        if key is not None:
            keys.setdefault(jwk.kid, key)
    return keys


def peek_issuer_and_kid(text: str) -> tuple[str, str | None]:
    """Read issuer and key name without verifying anything, to choose whom to ask.

    Raises:
        InvalidSubjectTokenError: If the text is too long or is no JWT with an issuer.
    """
    try:
        header = jwts.peek(text)
        return _issuer.decode(digests.decode(text.split(".")[1])).iss, header.kid
    except (jwts.InvalidTokenError, ValueError, *jwts.MALFORMED_JSON):
        raise InvalidSubjectTokenError("not a JWT with an issuer") from None


def verify_subject_token(  # noqa: PLR0913  each is a separate expectation of the server
    text: str,
    keys: Mapping[str, UpstreamKey],
    *,
    expected_issuer: str,
    expected_audiences: frozenset[str],
    algorithms: frozenset[str],
    now: datetime,
    leeway: timedelta = LEEWAY,
) -> Mapping[str, object]:
    """Verify a token of an upstream issuer and return all its claims.

    Raises:
        InvalidSubjectTokenError: If signature, issuer, audience, kind or time does not hold.
    """
    try:
        payload = jwts.verify(text, _choose(text, keys, algorithms), typs=_TYPS)
        claims = _claims.decode(payload)
        jwts.check_times(
            now,
            issued_at=None if claims.iat is None else moment(claims.iat),
            expires_at=moment(claims.exp),
            not_before=None if claims.nbf is None else moment(claims.nbf),
            leeway=leeway,
        )
        everything = _everything.decode(payload)
    except jwts.InvalidTokenError as error:
        raise InvalidSubjectTokenError(str(error)) from None
    except jwts.MALFORMED_JSON:
        raise InvalidSubjectTokenError("the claims are malformed") from None
    audiences = {claims.aud} if isinstance(claims.aud, str) else set(claims.aud)
    if claims.iss != expected_issuer:
        raise InvalidSubjectTokenError("the token is of another issuer")
    if expected_audiences.isdisjoint(audiences):
        raise InvalidSubjectTokenError("the token is for another audience")
    if "events" in everything:
        # A logout token may carry the typ of an ID token; its `events` tell (OIDC Back-Channel
        # Logout section 2.4).
        raise InvalidSubjectTokenError("a security event says nothing about who is here")
    return everything


def _choose(text: str, keys: Mapping[str, UpstreamKey], algorithms: frozenset[str]) -> jwts.Key:
    header = jwts.peek(text)
    key = keys.get(header.kid or "")
    if header.kid is None and len(keys) == 1:
        # OIDC Core section 10.1 lets an issuer with a single key leave its name out.
        key = next(iter(keys.values()))
    if key is None:
        raise jwts.InvalidTokenError("the key is unknown")
    if header.alg not in algorithms & key.algorithms:
        raise jwts.InvalidTokenError("the algorithm is not allowed")
    return jwts.Key(algorithm=header.alg, key=key.key)


def _key_of(jwk: _Jwk, members: dict[str, Any]) -> UpstreamKey | None:
    algorithms = _algorithms_of(jwk)
    if not algorithms or jwk.use != "sig" or "d" in members:
        return None
    try:
        key = jwt.PyJWK(members, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        return None
    return UpstreamKey(algorithms=algorithms, key=key)


def _algorithms_of(jwk: _Jwk) -> frozenset[str]:
    match jwk.kty:
        case "RSA":
            possible = _RSA_ALGORITHMS
        case "EC" | "OKP":
            possible = frozenset({_BY_CURVE.get(jwk.crv or "", "")}) - {""}
        case _:
            possible = frozenset()
    return possible if jwk.alg is None else possible & {jwk.alg}
