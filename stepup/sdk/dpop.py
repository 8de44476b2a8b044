"""DPoP proofs (RFC 9449), as a service that receives tokens checks them.

A proof is good for one request: its `jti` is remembered for as long as the proof would hold. One
process remembers by itself; several that serve one address share a `ReplayCache`, or a proof is
good once in each of them.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from threading import Lock
from time import time
from typing import Any, Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from stepup.sdk.errors import PROOF_ALGORITHMS, InvalidProof, UnavailableError, UseDpopNonce

MAX_AGE = 60
MAX_AHEAD = 10
MAX_LENGTH = 4096
NONCE_WINDOW = 60
REMEMBERED = 65_536

_KEY_TYPES: dict[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "PS256": ("RSA", None),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
# RFC 7638 section 3.2 and RFC 8037 section 2.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_FORBIDDEN = frozenset({"crit", "jku", "x5u", "x5c", "b64", "zip"})
_RSA_BITS = range(2048, 4097)
_PORTS = {"http": 80, "https": 443}
_JSON_ERRORS = (ValueError, RecursionError)


class ReplayCache(Protocol):
    """Remembers which proofs were seen."""

    def remember(self, identifier: str, until: float) -> bool:
        """Remember a proof until a moment; True for the first who brings it, and nobody else.

        Raises:
            UnavailableError: If it cannot be told; the request is refused then.
        """
        ...


class MemoryReplays:
    """The proofs that one process has seen; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time, size: int = REMEMBERED) -> None:
        self._clock = clock
        self._size = size
        self._seen: dict[str, float] = {}
        self._lock = Lock()

    def remember(self, identifier: str, until: float) -> bool:
        """Remember a proof; once there are too many, nobody is let in rather than one twice."""
        with self._lock:
            now = self._clock()
            if self._seen.get(identifier, 0.0) > now:
                return False
            if len(self._seen) >= self._size:
                self._seen = {name: end for name, end in self._seen.items() if end > now}
                if len(self._seen) >= self._size:
                    raise UnavailableError("too many proofs in a minute")
            self._seen[identifier] = until
            return True


class ProofVerifier:
    """Checks the DPoP proofs that come with tokens.

    With a `nonce_secret` every proof needs a nonce of ours (RFC 9449 section 9); the processes that
    serve one address have the same secret.
    """

    def __init__(
        self,
        *,
        replays: ReplayCache | None = None,
        nonce_secret: bytes | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._replays = replays or MemoryReplays(clock)
        self._nonce_secret = nonce_secret
        self._clock = clock

    def verify(self, proofs: Sequence[str], *, method: str, url: str, access_token: str) -> str:
        """Check the proof of a request by RFC 9449 section 4.3; return its key's thumbprint.

        Raises:
            InvalidProof: If there is not exactly one, or it does not hold or was used before.
            UseDpopNonce: If it lacks a nonce of ours, or has an old one.
            UnavailableError: If nobody can say whether it was used before.
        """
        if len(proofs) != 1:
            raise InvalidProof("the request has not exactly one DPoP proof")
        jkt, claims = _read(proofs[0])
        _check_request(claims, method, url, access_token)
        now, issued_at = self._clock(), _issued_at(claims)
        if not -MAX_AHEAD <= now - issued_at <= MAX_AGE:
            raise InvalidProof("the proof is too old, or from the future")
        self._check_nonce(claims.get("nonce"), now)
        identifier = hashlib.sha256(f"{jkt}\0{_text(claims, 'jti')}".encode()).hexdigest()
        # At its greatest age it still holds, so it is remembered a moment longer.
        if not self._replays.remember(identifier, issued_at + MAX_AGE + 1):
            raise InvalidProof("the proof was used before")
        return jkt

    def _check_nonce(self, nonce: object, now: float) -> None:
        if self._nonce_secret is None:
            return
        window = int(now // NONCE_WINDOW)
        good = [self._nonce(window), self._nonce(window - 1)]
        if not isinstance(nonce, str) or nonce not in good:
            raise UseDpopNonce(good[0])

    def _nonce(self, window: int) -> str:
        digest = hmac.digest(self._nonce_secret or b"", f"dpop-nonce {window}".encode(), "sha256")
        return _encoded(digest[:16])


def _read(proof: str) -> tuple[str, dict[str, Any]]:
    """Check form and signature; return the thumbprint of the key, and the claims."""
    parts = proof.split(".")
    if len(proof) > MAX_LENGTH or len(parts) != 3 or not proof.isascii():
        raise InvalidProof("the proof is not a JWT")
    header = _object(parts[0])
    if header.get("typ") != "dpop+jwt" or not _FORBIDDEN.isdisjoint(header):
        raise InvalidProof("the header is not that of a proof")
    public, key = _key(header.get("jwk"), header.get("alg"))
    try:
        message = proof.rpartition(".")[0].encode()
        holds = key.Algorithm.verify(message, key.key, _bytes(parts[2]))
    except (PyJWTError, *_JSON_ERRORS, TypeError):
        holds = False
    if not holds:
        raise InvalidProof("the signature does not fit")
    return _thumbprint(public), _object(parts[1])


def _key(jwk: object, alg: object) -> tuple[dict[str, str], PyJWK]:
    if not isinstance(alg, str) or alg not in PROOF_ALGORITHMS:
        raise InvalidProof("the algorithm is not allowed")
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):
        raise InvalidProof("the key is missing, or not public")
    if (jwk.get("kty"), jwk.get("crv")) != _KEY_TYPES[alg]:
        raise InvalidProof("the key is of another kind than its algorithm")
    public = {name: jwk.get(name) for name in _MEMBERS[_KEY_TYPES[alg][0]]}
    try:
        # RFC 9864 section 2.2: two names of one algorithm; PyJWT knows the older one.
        key = PyJWK(public, algorithm="EdDSA" if alg == "Ed25519" else alg)
    except (PyJWTError, ValueError, KeyError, TypeError):
        raise InvalidProof("the key cannot be read") from None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size not in _RSA_BITS:
        raise InvalidProof("the RSA key has not 2048 to 4096 bits")
    return {name: str(value) for name, value in public.items()}, key


def _check_request(claims: dict[str, Any], method: str, url: str, access_token: str) -> None:
    if _text(claims, "htm") != method:
        raise InvalidProof("the proof is for another method")
    try:
        is_for_this = _normal(_text(claims, "htu")) == _normal(url)
    except ValueError:
        is_for_this = False
    if not is_for_this:
        raise InvalidProof("the proof is for another URL")
    expected = _encoded(hashlib.sha256(access_token.encode()).digest())
    if _text(claims, "ath") != expected:
        raise InvalidProof("the proof is for another token")


def _normal(url: str) -> str:
    """Write a URL as RFC 3986 sections 6.2.2 and 6.2.3 say, without query and fragment."""
    parts = urlsplit(url)
    scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        raise ValueError("not an absolute URL")
    authority = host if port in {None, _PORTS[scheme]} else f"{host}:{port}"
    segments = (
        quote(unquote_to_bytes(part), safe="!$&'()*+,;=:@~") for part in parts.path.split("/")
    )
    return f"{scheme}://{authority}{'/'.join(segments) or '/'}"


def _issued_at(claims: dict[str, Any]) -> float:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        raise InvalidProof("the claim iat is missing or malformed")
    return value


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidProof(f"the claim {name} is missing or malformed")
    return value


def _thumbprint(public: dict[str, str]) -> str:
    text = json.dumps(public, sort_keys=True, separators=(",", ":"))
    return _encoded(hashlib.sha256(text.encode()).digest())


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except _JSON_ERRORS:
        raise InvalidProof("the proof is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidProof("the proof is not made of objects")
    return value


def _bytes(part: str) -> bytes:
    data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    # The library passes over foreign characters, which would give one proof many spellings.
    if _encoded(data) != part:
        raise ValueError("not base64url")
    return data


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
