"""Status lists: whether a token was revoked, known without asking about that token.

```
age   0 ....... half of ttl ....... ttl ......... ttl + stale_for .......>
      fresh     renewed in a        the caller waits for     refused
                thread meanwhile    a new one
```

draft-ietf-oauth-status-list-20, section 8.3. A list is signed by the issuer, says which address it is for, and
when it ends; what does not hold of it is refused, and without a list nobody is let through.
"""

import json
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from time import time
from typing import NamedTuple

from stepup.sdk.errors import InvalidToken, UnavailableError
from stepup.sdk.keys import KeySet
from stepup.sdk.tokens import CLOCK_LEEWAY, StatusClaim
from stepup.sdk.transport import HttpAnswer, HttpRequest, Transport

MEDIA_TYPE = "application/statuslist+jwt"
# One million tokens of two bits, sixteen times over; what unpacks to more is a bomb.
LARGEST_LIST = 4 << 20
# Two windows are alive at a time; more are kept for services of several issuers' tokens.
LISTS_KEPT = 16
FAILURE_PAUSE = 0.5
VALID = 0
_BITS = frozenset({1, 2, 4, 8})


@dataclass(frozen=True, slots=True)
class StatusCheck:
    """How strictly the status of tokens is checked.

    `required` refuses a token that names no list. `max_age` keeps no list for longer than that,
    whatever its `ttl` says. `stale_for` goes on with a list that is so many seconds too old while the
    issuer cannot be reached, and never past the list's own end; 0 refuses at once.
    """

    required: bool = True
    max_age: float | None = None
    stale_for: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times that mean nothing.

        Raises:
            ValueError: If one of them is negative.
        """
        if self.stale_for < 0 or (self.max_age is not None and self.max_age < 0):
            raise ValueError("max_age and stale_for are not negative")


class _List(NamedTuple):
    """A list that was verified."""

    bits: int
    data: bytes
    etag: str | None
    fetched_at: float
    ttl: float
    expires_at: int

    def status(self, place: int) -> int:
        """Read one status; the first stands in the lowest bits of the first byte (4.1)."""
        byte, shift = divmod(place * self.bits, 8)
        if byte >= len(self.data):
            raise InvalidToken("the status list has no such place")
        return self.data[byte] >> shift & (1 << self.bits) - 1


class StatusLists:
    """The status lists of one issuer; safe to share between threads."""

    def __init__(
        self,
        issuer: str,
        keys: KeySet,
        check: StatusCheck,
        transport: Transport,
        clock: Callable[[], float] = time,
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._check = check
        self._transport = transport
        self._clock = clock
        self._lists: dict[str, _List] = {}
        self._failed: dict[str, float] = {}
        self._fetching = Lock()
        self._renewing = Lock()

    def is_known(self, claim: StatusClaim | None) -> bool:
        """Say whether `require_valid` would answer without waiting for the issuer."""
        return claim is None or self._fresh(claim.uri) is not None

    def require_valid(self, claim: StatusClaim | None) -> None:
        """Refuse a token whose status is another than valid.

        Raises:
            InvalidToken: If it was revoked, or says nothing of its status where it must.
            UnavailableError: If the list cannot be had, and none is young enough.
        """
        if claim is None:
            if self._check.required:
                raise InvalidToken("the token names no status list")
            return
        # Signed by the issuer, it still must not send us to another host.
        if not claim.uri.startswith(f"{self._issuer}/"):
            raise InvalidToken("the status list is not the issuer's")
        held = self._fresh(claim.uri) or self._fetched(claim.uri)
        if held.status(claim.place) != VALID:
            raise InvalidToken("the token was revoked")

    def _fresh(self, uri: str) -> _List | None:
        held = self._lists.get(uri)
        if held is None:
            return None
        now, age = self._clock(), self._clock() - held.fetched_at
        if not 0 <= age < held.ttl or now >= held.expires_at:
            return None
        # The thread lets go of this lock when it is done, so there is never more than one.
        if age >= held.ttl / 2 and self._renewing.acquire(blocking=False):
            Thread(target=self._renew, args=(uri,), name="stepup-status", daemon=True).start()
        return held

    def _renew(self, uri: str) -> None:
        try:
            self._fetch(uri)
        except (InvalidToken, UnavailableError):
            pass  # Whoever finds the list too old waits for another one, and hears about it.
        finally:
            self._renewing.release()

    def _fetched(self, uri: str) -> _List:
        with self._fetching:
            held = self._fresh(uri)
            if held is not None:
                return held
            try:
                return self._fetch_unless_failing(uri)
            except UnavailableError:
                old = self._lists.get(uri)
                if old is None or not self._may_serve(old):
                    raise
                return old

    def _fetch_unless_failing(self, uri: str) -> _List:
        if 0 <= self._clock() - self._failed.get(uri, -FAILURE_PAUSE) < FAILURE_PAUSE:
            raise UnavailableError("the status list could not be had a moment ago")
        return self._fetch(uri)

    def _may_serve(self, old: _List) -> bool:
        now = self._clock()
        return now < min(old.fetched_at + old.ttl + self._check.stale_for, old.expires_at)

    def _fetch(self, uri: str) -> _List:
        held, asked_at = self._lists.get(uri), self._clock()
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "gzip"}
        if held is not None and asked_at >= held.expires_at:
            held = None
        if held is not None and held.etag is not None:
            headers["If-None-Match"] = held.etag
        try:
            answer = self._transport(HttpRequest("GET", uri, headers))
            # Age counts from the question: whoever was paused between the two must not feel young.
            if held is not None and answer.status == 304:
                fetched = held._replace(fetched_at=asked_at)
            else:
                fetched = self._read(uri, answer, asked_at)
        except UnavailableError:
            self._note_failure(uri)
            raise
        self._keep(uri, fetched)
        return fetched

    def _note_failure(self, uri: str) -> None:
        if len(self._failed) >= LISTS_KEPT:
            self._failed.clear()
        self._failed[uri] = self._clock()

    def _keep(self, uri: str, fetched: _List) -> None:
        kept = {name: each for name, each in self._lists.items() if name != uri}
        while len(kept) >= LISTS_KEPT:
            del kept[min(kept, key=lambda name: kept[name].expires_at)]
        self._lists = kept | {uri: fetched}

    def _read(self, uri: str, answer: HttpAnswer, asked_at: float) -> _List:
        if answer.status != 200:
            raise UnavailableError(f"the status list answers {answer.status}")
        try:
            claims = self._verified(_unzipped(answer))
            return self._claimed(uri, claims, answer.headers.get("etag"), asked_at)
        except (ValueError, KeyError, TypeError, zlib.error, RecursionError) as error:
            # Not a refusal of the token: nobody knows what the issuer says of it.
            raise UnavailableError(f"the status list does not hold: {error}") from error

    def _verified(self, text: str) -> dict[str, object]:
        header_part, claims_part, signature = text.split(".")
        header = json.loads(_decoded(header_part))
        if header["typ"] != "statuslist+jwt" or "crit" in header:
            raise ValueError("not a status list token")
        key = self._keys.find(header["kid"]) if isinstance(header["kid"], str) else None
        if key is None or header["alg"] != key.alg:
            raise ValueError("the key is not one of the issuer's")
        if not key.verify(f"{header_part}.{claims_part}".encode(), _decoded(signature)):
            raise ValueError("the signature does not fit")
        claims: dict[str, object] = json.loads(_decoded(claims_part))
        return claims

    def _claimed(
        self, uri: str, claims: dict[str, object], etag: str | None, asked_at: float
    ) -> _List:
        if claims["sub"] != uri:
            raise ValueError("the list is another one")
        now, listed = self._clock(), claims["status_list"]
        issued_at, expires_at = _number(claims, "iat"), _number(claims, "exp")
        if not issued_at - CLOCK_LEEWAY <= now < expires_at:
            raise ValueError("the list has ended, or is not valid yet")
        if not isinstance(listed, dict) or listed["bits"] not in _BITS:
            raise ValueError("the statuses have an unknown width")
        ttl = float(_number(claims, "ttl"))
        return _List(
            bits=listed["bits"],
            data=_inflated(_decoded(listed["lst"]), zlib.MAX_WBITS),
            etag=etag,
            fetched_at=asked_at,
            ttl=ttl if self._check.max_age is None else min(ttl, self._check.max_age),
            expires_at=expires_at,
        )


def _unzipped(answer: HttpAnswer) -> str:
    coding = answer.headers.get("content-encoding", "identity")
    if coding == "identity":
        return answer.body.decode("ascii")
    if coding != "gzip":
        raise ValueError("an unknown content coding")
    return _inflated(answer.body, zlib.MAX_WBITS | 16).decode("ascii")


def _inflated(data: bytes, form: int) -> bytes:
    unpacker = zlib.decompressobj(form)
    plain = unpacker.decompress(data, LARGEST_LIST + 1)
    if len(plain) > LARGEST_LIST or not unpacker.eof:
        raise ValueError("the list is too large, or cut off")
    return plain


def _number(claims: dict[str, object], name: str) -> int:
    value = claims[name]
    # bool is an int in Python.
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is malformed")
    return value


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
