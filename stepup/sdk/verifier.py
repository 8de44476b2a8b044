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
from threading import Lock
from time import time
from typing import NamedTuple

from stepup.sdk.binding import digest_of
from stepup.sdk.dpop import ProofVerifier
from stepup.sdk.errors import InvalidToken, StepUpRequired
from stepup.sdk.keys import KeySet, VerifyingKey
from stepup.sdk.possession import Shown, require_holder
from stepup.sdk.requirement import Requirement
from stepup.sdk.tokens import CLOCK_LEEWAY, VerifiedToken, read_claims

TOKEN_TYPE = "at+jwt"  # noqa: S105  a media type, no secret
MAX_TOKEN_LENGTH = 8192
SEEN_TOKENS = 8192
SEEN_HEADERS = 64
_scan = json.JSONDecoder().raw_decode
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII).fullmatch


class _Seen(NamedTuple):
    """A token whose signature and claims were verified, with what is compared each time."""

    token: VerifiedToken
    not_before: int
    expires_at: int
    auth_time: int
    rank: int


class _Header(NamedTuple):
    """What a token's header says; tokens of one key share it."""

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
        proofs: ProofVerifier | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = keys
        self._proofs = proofs
        self._ranks = {level: rank for rank, level in enumerate(levels)}
        self._clock = clock
        self._seen: dict[bytes, _Seen] = {}
        self._headers: dict[str, _Header] = {}
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
        self,
        raw: str,
        requirement: Requirement,
        values: Mapping[str, object] | None = None,
        shown: Shown | None = None,
    ) -> VerifiedToken:
        """Return the token if it is good for what `requirement` demands.

        Raises:
            InvalidToken: If it is not a valid token at all, or its key is not proved by how it was
                shown.
            StepUpRequired: If it is valid, but not enough.
            BindingError: If a bound value is missing or has no exact form.
            UnavailableError: If the issuer's keys are unknown and cannot be fetched.
        """
        name = _name(raw)
        seen = self._recall(name) or self._learn(raw, name)
        if seen.token.confirmation is not None or (shown is not None and shown.is_dpop):
            require_holder(raw, seen.token.confirmation, shown, self._proofs)
        self._require(seen, requirement, values)
        return seen.token

    def read(self, raw: str) -> VerifiedToken:
        """Return the token if it is valid, whatever it is good for and whoever shows it.

        Raises:
            InvalidToken: If it is not a valid token.
            UnavailableError: If the issuer's keys are unknown and cannot be fetched.
        """
        name = _name(raw)
        return (self._recall(name) or self._learn(raw, name)).token

    def has_key_for(self, raw: str) -> bool:
        """Say whether `raw` can be verified without asking the issuer for keys."""
        if self._recall(_name(raw)) is not None:
            return True
        return self.keys.peek(_parse_header(raw).kid) is not None

    def _recall(self, name: bytes) -> _Seen | None:
        if self._keys_version != self.keys.version:
            self._keys_version, self._seen = self.keys.version, {}
        seen = self._seen.get(name)
        if seen is not None and not seen.not_before <= self._clock() < seen.expires_at:
            raise InvalidToken("the token has expired")
        return seen

    def _learn(self, raw: str, name: bytes) -> _Seen:
        version = self.keys.version
        header = self._headers.get(raw[: raw.find(".")]) or _parse_header(raw)
        key = self.keys.find(header.kid)
        if key is None:
            raise InvalidToken("the token's key is not one of the issuer's")
        claims = _signed_claims(raw, header, key)
        token, times = read_claims(raw, claims, self.issuer, self.audience)
        now = self._clock()
        if now >= times.expires_at:
            raise InvalidToken("the token has expired")
        if now < times.not_before - CLOCK_LEEWAY:
            raise InvalidToken("the token is not valid yet")
        if now < times.auth_time - CLOCK_LEEWAY:
            raise InvalidToken("the authentication lies in the future")
        seen = _Seen(
            token=token,
            not_before=times.not_before - CLOCK_LEEWAY,
            expires_at=times.expires_at,
            auth_time=times.auth_time,
            rank=self._ranks.get(token.level, -1),
        )
        self._remember(raw, name, header, seen, version)
        return seen

    def _remember(self, raw: str, name: bytes, header: _Header, seen: _Seen, version: int) -> None:
        with self._adding:
            if version != self.keys.version:
                return  # The key may have been taken back while we were verifying with it.
            if len(self._seen) >= SEEN_TOKENS:
                now = self._clock()
                living = [(name, s) for name, s in self._seen.items() if now < s.expires_at]
                # Still full of living tokens: forget the oldest half, they only cost a signature.
                self._seen = dict(living[-SEEN_TOKENS // 2 :])
            self._seen[name] = seen
            if len(self._headers) < SEEN_HEADERS:
                self._headers[raw[: raw.find(".")]] = header

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


def _name(raw: object) -> bytes:
    if not isinstance(raw, str) or len(raw) > MAX_TOKEN_LENGTH:
        raise InvalidToken("the token is not text, or too long")
    try:
        # A digest, so that a dump of our memory holds fewer tokens.
        return hashlib.sha256(raw.encode()).digest()
    except UnicodeEncodeError:
        raise InvalidToken("the token is not text") from None


def _parse_header(raw: str) -> _Header:
    header = _object(raw[: raw.find(".")], "header")
    # Exactly this type: an ID token of the same issuer must never pass for an access token.
    if header.get("typ") != TOKEN_TYPE:
        raise InvalidToken("the token is not an access token")
    # We understand no extension, so whatever must be understood is refused (RFC 7515 4.1.11).
    if "crit" in header:
        raise InvalidToken("the token demands an extension")
    kid, alg = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str):
        raise InvalidToken("the token does not name its key")
    return _Header(kid, alg)


def _signed_claims(raw: str, header: _Header, key: VerifyingKey) -> dict[str, object]:
    if not _FORM(raw):
        raise InvalidToken("the token is not a signed JWT")
    if header.alg != key.alg:
        raise InvalidToken("the token's algorithm is not its key's")
    message, _, signature = raw.rpartition(".")
    if not key.verify(message.encode(), _bytes(signature)):
        raise InvalidToken("the signature does not fit")
    return _object(message[message.find(".") + 1 :], "payload")


def _object(part: str, what: str) -> dict[str, object]:
    try:
        text = _bytes(part).decode()
        value, end = _scan(text)
    except (ValueError, RecursionError):
        raise InvalidToken(f"the token's {what} is not JSON") from None
    if not isinstance(value, dict) or end != len(text):
        raise InvalidToken(f"the token's {what} is not an object")
    return value


def _bytes(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidToken("the token is not base64url") from None
