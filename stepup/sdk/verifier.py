"""Verification on the spot: no request leaves, unless the keys are unknown.

The order of the checks: the form of the token, its key and signature, its claims, its time, then
the requirement. A token that was seen before skips the signature, never the time nor the
requirement.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from time import time

from stepup.sdk.binding import digest_of
from stepup.sdk.errors import InvalidToken, StepUpRequired
from stepup.sdk.keys import KeySet, VerifyingKey
from stepup.sdk.requirement import Requirement
from stepup.sdk.tokens import CLOCK_LEEWAY, VerifiedToken, read_claims

TOKEN_TYPE = "at+jwt"  # noqa: S105  a media type, no secret
MAX_TOKEN_LENGTH = 8192
SEEN_TOKENS = 8192
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class _Seen:
    """A token whose signature and claims were verified, with what is compared each time."""

    token: VerifiedToken
    not_before: int
    expires_at: int
    auth_time: int
    rank: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A token taken apart, not verified yet."""

    raw: str
    kid: str
    alg: str


class Verifier:
    """Checks the elevated tokens of one issuer for one audience; safe to share between threads."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        levels: Iterable[str],
        keys: KeySet,
        clock: Callable[[], float] = time,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = keys
        self._ranks = {level: rank for rank, level in enumerate(levels)}
        self._clock = clock
        self._seen: dict[bytes, _Seen] = {}
        self._keys_version = keys.version
        self._adding = Lock()

    def check(self, requirement: Requirement) -> None:
        """Refuse a requirement that could never be met here.

        Raises:
            ValueError: If its level is not on the ladder.
        """
        if requirement.level not in self._ranks:
            raise ValueError(f"{requirement.level!r} is not one of the levels {list(self._ranks)}")

    def verify(
        self, raw: str, requirement: Requirement, values: Mapping[str, object] | None = None
    ) -> VerifiedToken:
        """Return the token if it is good for what `requirement` demands.

        Raises:
            InvalidToken: If it is not a valid token at all.
            StepUpRequired: If it is valid, but not enough.
            BindingError: If a bound value is missing or has no exact form.
            UnavailableError: If the issuer's keys are unknown and cannot be fetched.
        """
        seen = self._recall(raw) or self._learn(raw)
        self._require(seen, requirement, values)
        return seen.token

    def read(self, raw: str) -> VerifiedToken:
        """Return the token if it is valid, whatever it is good for.

        Raises:
            InvalidToken: If it is not a valid token.
            UnavailableError: If the issuer's keys are unknown and cannot be fetched.
        """
        return (self._recall(raw) or self._learn(raw)).token

    def has_key_for(self, raw: str) -> bool:
        """Say whether `raw` can be verified without asking the issuer for keys."""
        if self._recall(raw) is not None:
            return True
        return self.keys.peek(_parse(raw).kid) is not None

    def _recall(self, raw: str) -> _Seen | None:
        if not isinstance(raw, str):
            raise InvalidToken("the token is not text")
        if self._keys_version != self.keys.version:
            self._keys_version, self._seen = self.keys.version, {}
        seen = self._seen.get(_name(raw))
        if seen is not None and not seen.not_before <= self._clock() < seen.expires_at:
            raise InvalidToken("the token has expired")
        return seen

    def _learn(self, raw: str) -> _Seen:
        parsed = _parse(raw)
        key = self.keys.find(parsed.kid)
        if key is None:
            raise InvalidToken("the token's key is not one of the issuer's")
        claims = _signed_claims(parsed, key)
        token = read_claims(raw, claims, self.issuer, self.audience)
        seen = _Seen(
            token=token,
            not_before=max(_second(token.issued_at.timestamp()), _not_before(claims))
            - CLOCK_LEEWAY,
            expires_at=_second(token.expires_at.timestamp()),
            auth_time=_second(token.auth_time.timestamp()),
            rank=self._ranks.get(token.level, -1),
        )
        now = self._clock()
        if now >= seen.expires_at:
            raise InvalidToken("the token has expired")
        if now < seen.not_before:
            raise InvalidToken("the token is not valid yet")
        if now < seen.auth_time - CLOCK_LEEWAY:
            raise InvalidToken("the authentication lies in the future")
        self._remember(raw, seen)
        return seen

    def _remember(self, raw: str, seen: _Seen) -> None:
        with self._adding:
            if len(self._seen) >= SEEN_TOKENS:
                now = self._clock()
                living = {name: s for name, s in self._seen.items() if now < s.expires_at}
                # Still full of living tokens: forget the oldest half, they only cost a signature.
                keep = list(living.items())[-SEEN_TOKENS // 2 :]
                self._seen = dict(keep)
            self._seen[_name(raw)] = seen

    def _require(
        self, seen: _Seen, requirement: Requirement, values: Mapping[str, object] | None
    ) -> None:
        token = seen.token
        wanted = self._ranks.get(requirement.level)
        if wanted is None:
            self.check(requirement)
        elif seen.rank < wanted:
            raise StepUpRequired(requirement, "a higher level of authentication is needed")
        if not self._is_fresh(seen, requirement):
            raise StepUpRequired(requirement, "a more recent authentication is needed")
        if token.action is not None:
            _require_same_deed(token, requirement, values or {})
        elif requirement.needs_own_ceremony:
            raise StepUpRequired(requirement, "this action must be confirmed on its own")

    def _is_fresh(self, seen: _Seen, requirement: Requirement) -> bool:
        if requirement.max_age is None or (
            requirement.max_age == 0 and requirement.needs_own_ceremony
        ):
            return True
        return self._clock() - seen.auth_time <= requirement.max_age + CLOCK_LEEWAY


def _require_same_deed(
    token: VerifiedToken, requirement: Requirement, values: Mapping[str, object]
) -> None:
    if token.action != requirement.action:
        raise StepUpRequired(requirement, "the confirmation was for another action")
    # Compared even when nothing is bound here: what was confirmed for one amount must not
    # pass a service that forgot to look at the amount.
    if token.bound_digest != digest_of(requirement.action, requirement.bind, values):
        raise StepUpRequired(requirement, "the confirmation was for other values")
    if requirement.once and not token.once:
        raise StepUpRequired(requirement, "this action needs a confirmation for one use")
    if token.once and not requirement.once:
        # Accepting it without using it up would make it good for any number of calls; asking the
        # user again would only bring another one.
        raise InvalidToken("the token is for one use, but the requirement does not say once=True")


def _name(raw: str) -> bytes:
    # A digest, so that a dump of our memory holds fewer tokens.
    return hashlib.sha256(raw.encode(errors="replace")).digest()


def _second(timestamp: float) -> int:
    return int(timestamp)


def _not_before(claims: Mapping[str, object]) -> int:
    if "nbf" not in claims:
        return 0
    value = claims["nbf"]
    if type(value) is not int:
        raise InvalidToken("the claim nbf is malformed")
    return value


def _parse(raw: str) -> Parsed:
    if len(raw) > MAX_TOKEN_LENGTH or not _FORM(raw):
        raise InvalidToken("the token is not a signed JWT")
    header = _object(raw[: raw.index(".")], "header")
    # Exactly this type: an ID token of the same issuer must never pass for an access token.
    if header.get("typ") != TOKEN_TYPE:
        raise InvalidToken("the token is not an access token")
    # We understand no extension, so whatever must be understood is refused (RFC 7515 4.1.11).
    if "crit" in header:
        raise InvalidToken("the token demands an extension")
    kid, alg = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str):
        raise InvalidToken("the token does not name its key")
    return Parsed(raw, kid, alg)


def _signed_claims(parsed: Parsed, key: VerifyingKey) -> dict[str, object]:
    if parsed.alg != key.alg:
        raise InvalidToken("the token's algorithm is not its key's")
    message, _, signature = parsed.raw.rpartition(".")
    if not key.verify(message.encode(), _bytes(signature)):
        raise InvalidToken("the signature does not fit")
    return _object(message[message.index(".") + 1 :], "payload")


def _object(part: str, what: str) -> dict[str, object]:
    try:
        value = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        raise InvalidToken(f"the token's {what} is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken(f"the token's {what} is not an object")
    return value


def _bytes(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidToken("the token is not base64url") from None
