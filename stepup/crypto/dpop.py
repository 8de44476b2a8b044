"""DPoP proofs (RFC 9449): whether one holds for the request that it came with, and nonces for them.

Here is what can be said of a proof alone. Whether it was seen before is asked by
`usecases/proofs.py`. The numbers in the comments are those of the checks in section 4.3.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from stepup.crypto import digests, jwts, keys
from stepup.domain.authorization_errors import InvalidDpopProofError
from stepup.domain.confirmation import DPOP_ALGORITHMS

TYP = "dpop+jwt"

# FAPI 2.0 section 5.3.2.1: a clock may be 10 s ahead; what is older than 60 s is refused.
MAX_AGE = timedelta(seconds=60)
MAX_AHEAD = timedelta(seconds=10)

# Anybody may send one: the key and signature of RSA with 4096 bits fit, more only costs us time.
MAX_CHARACTERS = 4096
_RSA_BITS = range(2048, 4097)
# RFC 7518 section 6 and RFC 8037: what only the owner of a key may know, and shared secrets.
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KEY_TYPES: Mapping[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "PS256": ("RSA", None),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_PORTS = {"http": 80, "https": 443}

NONCE_WINDOW = timedelta(seconds=60)

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof that holds; `jkt` is the thumbprint of its key (RFC 7638)."""

    jkt: str
    jti: str
    issued_at: datetime
    nonce: str | None


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    jti: _Text
    htm: _Text
    htu: _Text
    # NumericDate of RFC 7519, up to the year 9999.
    iat: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
    nonce: str | None = None
    ath: str | None = None


class _ProofHeader(msgspec.Struct, frozen=True, kw_only=True):
    alg: str
    jwk: dict[str, Any]
    typ: str = ""


class _ProofKey(NamedTuple):
    key: jwts.Key
    jkt: str


_header_decoder = msgspec.json.Decoder(_ProofHeader)
_claims_decoder = msgspec.json.Decoder(_Claims)


def verify_proof(
    text: str, *, method: str, url: str, now: datetime, access_token: str | None = None
) -> Proof:
    """Check a proof against the request and, at a resource, the token that it came with.

    Raises:
        InvalidDpopProofError: If it does not hold; the detail says why.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidDpopProofError("The DPoP proof is too long.")
    try:
        found = _key_of(text.partition(".")[0])
        payload = jwts.verify(text, found.key, typs=(TYP,), brings_key=True)
    except jwts.InvalidTokenError as error:
        raise InvalidDpopProofError(f"The DPoP proof does not hold: {error}.") from None
    try:
        claims = _claims_decoder.decode(payload)
    except jwts.MALFORMED_JSON:
        raise InvalidDpopProofError("The DPoP proof lacks a claim, or has a broken one.") from None
    _check_request(claims, method, url)
    issued_at = datetime.fromtimestamp(claims.iat, UTC)
    _check_time(issued_at, now)
    if access_token is not None and claims.ath != token_hash(access_token):  # 12, first half
        raise InvalidDpopProofError("The DPoP proof is for another access token.")
    return Proof(jkt=found.jkt, jti=claims.jti, issued_at=issued_at, nonce=claims.nonce)


def token_hash(access_token: str) -> str:
    """Compute `ath` (RFC 9449 section 4.2)."""
    return digests.encode(sha256(access_token.encode("ascii", "replace")).digest())


def nonce_key(root: bytes) -> bytes:
    """Derive the key that nonces are made with; every instance has the same."""
    return digests.derive(root, "dpop-nonce")


def nonce_at(key: bytes, moment: datetime) -> str:
    """Make the nonce of a moment: that of its window, the same at every instance."""
    return _nonce(key, _window(moment))


def is_good_nonce(key: bytes, nonce: str, now: datetime) -> bool:
    """Say whether a nonce is of this window or of the one before."""
    window = _window(now)
    sent = nonce.encode()
    good = [digests.equal(sent, _nonce(key, n).encode()) for n in (window, window - 1)]
    return any(good)


def normal_url(url: str) -> str:
    """Write a URL as RFC 3986 sections 6.2.2 and 6.2.3 say, without query and fragment.

    Raises:
        ValueError: If it is no absolute URL of http or https.
    """
    parts = urlsplit(url)
    scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        raise ValueError("not an absolute URL")
    host = f"[{host}]" if ":" in host else host
    authority = host if port in {None, _PORTS[scheme]} else f"{host}:{port}"
    segments = (
        quote(unquote_to_bytes(part), safe="!$&'()*+,;=:@~") for part in parts.path.split("/")
    )
    return f"{scheme}://{authority}{'/'.join(segments) or '/'}"


# A client sends the same header with every proof, and reading a key costs as much as using it.
@lru_cache(maxsize=1024)
def _key_of(part: str) -> _ProofKey:
    try:
        header = _header_decoder.decode(digests.decode(part))
    except (ValueError, *jwts.MALFORMED_JSON):
        raise jwts.InvalidTokenError("it is not a JWT with a key") from None
    if header.typ != TYP:  # 4
        raise jwts.InvalidTokenError("its typ is not dpop+jwt")
    if header.alg not in DPOP_ALGORITHMS:  # 5
        raise jwts.InvalidTokenError("its algorithm is not one of " + " ".join(DPOP_ALGORITHMS))
    if not _PRIVATE_MEMBERS.isdisjoint(header.jwk):  # 7
        raise jwts.InvalidTokenError("its key is not public")
    if (header.jwk.get("kty"), header.jwk.get("crv")) != _KEY_TYPES[header.alg]:
        raise jwts.InvalidTokenError("its key is of another kind than its algorithm")
    try:
        public = keys.public_members(header.jwk)
        key = jwt.PyJWK(public).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise jwts.InvalidTokenError("its key cannot be read") from None
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        raise jwts.InvalidTokenError("its RSA key has not 2048 to 4096 bits")
    return _ProofKey(jwts.Key(algorithm=header.alg, key=key), keys.thumbprint(public))


def _check_request(claims: _Claims, method: str, url: str) -> None:
    if claims.htm != method:  # 8
        raise InvalidDpopProofError("The DPoP proof is for another method.")
    try:
        is_for_this = normal_url(claims.htu) == normal_url(url)
    except ValueError:
        is_for_this = False
    if not is_for_this:  # 9
        raise InvalidDpopProofError("The DPoP proof is for another URL.")


def _check_time(issued_at: datetime, now: datetime) -> None:  # 11
    if issued_at > now + MAX_AHEAD:
        raise InvalidDpopProofError("The DPoP proof was made in the future.")
    if now - issued_at > MAX_AGE:
        raise InvalidDpopProofError("The DPoP proof is too old.")


def _window(moment: datetime) -> int:
    return int(moment.timestamp() // NONCE_WINDOW.total_seconds())


def _nonce(key: bytes, window: int) -> str:
    return digests.encode(digests.keyed_digest(key, str(window))[:16])
