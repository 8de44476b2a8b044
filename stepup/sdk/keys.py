"""The issuer's public keys, kept fresh without making a request wait for them.

```
age   0 ........ 10 min ................ 24 h ...........>
      fresh      stale: served at once,  gone: the caller
                 renewed in a thread     waits for new ones
```

An unknown `kid` asks again, at most once per 30 seconds, so that a flood of forged tokens is not
turned into a flood of requests to the issuer.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from stepup.sdk.errors import UnavailableError

Fetcher = Callable[[str], bytes]
"""Gets a URL; raises `UnavailableError` when it cannot. It may block: it is called in a thread."""

FRESH_FOR = 600.0
STALE_FOR = 86_400.0
UNKNOWN_KID_PAUSE = 30.0
FAILURE_PAUSE = 2.0
_MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One public key and the one algorithm that it may be used with (RFC 8725 section 3.1)."""

    kid: str
    alg: str
    verify: Callable[[bytes, bytes], bool]


class KeySet:
    """The keys of one issuer; safe to share between threads.

    `version` changes when a key is taken back, so that nobody goes on trusting what it signed.
    """

    def __init__(
        self,
        url: str,
        fetch: Fetcher,
        algorithms: Iterable[str] = ("ES256",),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self.version = 0
        self._keys: Mapping[str, VerifyingKey] = {}
        self._fetched_at: float | None = None
        self._asked_for_unknown_at: float | None = None
        self._failed_at: float | None = None
        self._failure = ""
        self._fetching = Lock()
        self._asking = Lock()
        self._renewing = Lock()

    def peek(self, kid: str) -> VerifyingKey | None:
        """Find a usable key without waiting; one that has grown stale is renewed behind the scenes."""
        age = self._age()
        if age is None or age >= STALE_FOR:
            return None
        if age >= FRESH_FOR:
            self._renew_in_background()
        return self._keys.get(kid)

    def find(self, kid: str) -> VerifyingKey | None:
        """Find a key, waiting for the issuer if there is no other way; None if it has no such key.

        Raises:
            UnavailableError: If there are no keys to decide with.
        """
        before = self._fetched_at
        key = self.peek(kid)
        if key is not None:
            return key
        age = self._age()
        if age is None or age >= STALE_FOR or self._may_ask_for_unknown(before):
            self._fetch_once(before)
        return self._keys.get(kid)

    def load(self, document: bytes) -> None:
        """Take keys from a JWKS document, as after fetching it."""
        keys = _parse(document, self._algorithms)
        before, self._keys = self._keys, keys
        if not before.keys() <= keys.keys():
            self.version += 1
        self._fetched_at = self._clock()
        self._failed_at = None

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _may_ask_for_unknown(self, seen: float | None) -> bool:
        with self._asking:
            now, last = self._clock(), self._asked_for_unknown_at
            if self._fetched_at != seen or (last is not None and now - last < UNKNOWN_KID_PAUSE):
                return False
            self._asked_for_unknown_at = now
            return True

    def _fetch_once(self, seen: float | None) -> None:
        """Fetch, unless somebody else did while we waited for our turn."""
        with self._fetching:
            if self._fetched_at != seen:
                return
            if self._failed_at is not None and self._clock() - self._failed_at < FAILURE_PAUSE:
                self._give_up()
                return
            try:
                self.load(self._fetch(self._url))
            except (OSError, ValueError, UnavailableError) as error:
                self._failed_at = self._clock()
                self._failure = str(error)
                self._give_up()

    def _give_up(self) -> None:
        # Keys that are merely stale go on serving: the issuer being away must not stop verification.
        age = self._age()
        if age is None or age >= STALE_FOR:
            raise UnavailableError(f"the issuer's keys cannot be fetched: {self._failure}")

    def _renew_in_background(self) -> None:
        if self._failed_at is not None and self._clock() - self._failed_at < UNKNOWN_KID_PAUSE:
            return
        # The thread lets go of this lock when it is done, so there is never more than one.
        if self._renewing.acquire(blocking=False):
            Thread(target=self._renew, name="stepup-jwks", daemon=True).start()

    def _renew(self) -> None:
        try:
            self._fetch_once(self._fetched_at)
        except UnavailableError:
            pass  # The next request that needs a key waits for one, and hears about it.
        finally:
            self._renewing.release()


def _parse(document: bytes, algorithms: frozenset[str]) -> dict[str, VerifyingKey]:
    """Read the usable keys; others, such as those for algorithms to come, are passed over.

    Raises:
        ValueError: If the document is not a JWKS.
    """
    jwks = json.loads(document)
    members = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(members, list):
        raise ValueError("the issuer's answer is not a key set")  # noqa: TRY004  it is data, not a type
    keys: dict[str, VerifyingKey] = {}
    twice: set[str] = set()
    for member in members:
        key = _usable(member, algorithms)
        if key is None:
            continue
        if key.kid in keys:
            twice.add(key.kid)
        keys[key.kid] = key
    # Two keys of one name: nobody can say which is meant, so neither is.
    return {kid: key for kid, key in keys.items() if kid not in twice}


def _usable(member: object, algorithms: frozenset[str]) -> VerifyingKey | None:
    if not isinstance(member, dict) or member.get("use", "sig") != "sig":
        return None
    kid, alg = member.get("kid"), member.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str) or alg not in algorithms:
        return None
    try:
        jwk = PyJWK(member, algorithm=alg)
    except (PyJWTError, ValueError, KeyError, TypeError):
        return None
    key: Any = jwk.key
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        return None
    if isinstance(key, EllipticCurvePublicKey):
        return VerifyingKey(kid, alg, _es256(key))
    check: Any = jwk.Algorithm.verify
    return VerifyingKey(kid, alg, lambda message, signature: check(message, key, signature))


def _es256(key: EllipticCurvePublicKey) -> Callable[[bytes, bytes], bool]:
    """Do what PyJWT does for the algorithm of nearly every token, without making objects anew."""
    algorithm = ECDSA(SHA256())

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, algorithm)
        except InvalidSignature:
            return False
        return True

    return verify
