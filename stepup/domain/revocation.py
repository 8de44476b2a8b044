"""What ends tokens before their time: one token, all of a ceremony, a subject, or a signing key.

Kept in memory by every process and in both stores. Entries are only ever added and raised, so it
does no harm to hear of one twice, late, or from several sides.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import NamedTuple

import msgspec

from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.challenge import CHALLENGE_LIFETIME
from stepup.domain.ids import ChallengeId, KeyId, SubjectId, TokenId
from stepup.domain.refresh import LONGEST_REFRESH
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.domain.token import ElevatedToken

# Instances whose clocks are further apart than this are not ready.
CLOCK_MARGIN = timedelta(seconds=1)
# R: what was acknowledged this long ago is known to everybody who still answers.
BOUND = timedelta(seconds=5)
# Past this one nobody answers, whatever the action.
LAST_BOUND = timedelta(seconds=30)


# Whatever is revoked as a whole was made after this.
_EVER = datetime.min.replace(tzinfo=UTC)


class Revoked(StrEnum):
    """What a revocation is about."""

    TOKEN = "token"  # noqa: S105  the name of a kind
    GRANT = "grant"
    """All that one ceremony gave: each token of its code and of the refresh tokens after it."""
    SUBJECT = "subject"
    KEY = "key"


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one token, subject or signing key from before a moment has ended.

    `until` is when the last token concerned has expired, `at` is when it was revoked.
    """

    what: Revoked
    value: str
    before: datetime
    until: datetime
    at: datetime

    @classmethod
    def of_token(cls, token_id: TokenId, until: datetime, now: datetime) -> "Revocation":
        """End one token, which expires at `until`."""
        return cls(what=Revoked.TOKEN, value=token_id, before=until, until=until, at=now)

    @classmethod
    def of_grant(cls, challenge_id: ChallengeId, until: datetime, now: datetime) -> "Revocation":
        """End all tokens of a ceremony; the last one that there can be expires at `until`."""
        return cls(what=Revoked.GRANT, value=challenge_id, before=until, until=until, at=now)

    @classmethod
    def of_subject(cls, subject_id: SubjectId, now: datetime) -> "Revocation":
        """End whatever a subject has proved up to now: codes and refresh tokens included."""
        before = now + CLOCK_MARGIN
        until = before + CHALLENGE_LIFETIME + CODE_LIFETIME + MAX_TOKEN_LIFETIME + LONGEST_REFRESH
        return cls(what=Revoked.SUBJECT, value=subject_id, before=before, until=until, at=now)

    @classmethod
    def of_key(cls, key_id: KeyId, min_iat: datetime, now: datetime) -> "Revocation":
        """End all tokens under a key that were issued before a moment."""
        until = max(min_iat, now) + MAX_TOKEN_LIFETIME + CLOCK_MARGIN
        return cls(what=Revoked.KEY, value=key_id, before=min_iat, until=until, at=now)

    def raised_by(self, other: "Revocation") -> "Revocation":
        """Join two about one thing: whatever one of them ends has ended."""
        return msgspec.structs.replace(
            self, before=max(self.before, other.before), until=max(self.until, other.until)
        )


class Ground(NamedTuple):
    """What a token can end by: it has, when that is revoked from before a later moment than `at`."""

    what: Revoked
    value: str
    at: datetime


def grounds_of(token: ElevatedToken, key_id: str | None) -> tuple[Ground, ...]:
    """Return everything that can end a token which was signed with this key.

    Of a subject it counts what was proved before the revocation, not what was issued: a code may
    be redeemed after it.
    """
    grounds = (
        Ground(Revoked.TOKEN, token.id, _EVER),
        Ground(Revoked.GRANT, token.challenge_id, _EVER),
        Ground(Revoked.SUBJECT, token.subject.id, token.auth_time),
    )
    return grounds if key_id is None else (*grounds, Ground(Revoked.KEY, key_id, token.issued_at))


class RevocationMap:
    """Revocations by what they are about, each until nothing that it ends can be alive."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._held: dict[tuple[Revoked, str], Revocation] = {}
        for revocation in revocations:
            self.add(revocation)

    def add(self, revocation: Revocation) -> bool:
        """Add a revocation; says whether it ends anything that none before it ended."""
        name = (revocation.what, revocation.value)
        held = self._held.get(name)
        joined = revocation if held is None else held.raised_by(revocation)
        self._held[name] = joined
        return joined != held

    def covers(self, token: ElevatedToken, key_id: str | None) -> bool:
        """Say whether a token that was signed with this key has ended."""
        return any(
            (held := self._held.get((what, value))) is not None and at < held.before
            for what, value, at in grounds_of(token, key_id)
        )

    def forget(self, now: datetime) -> None:
        """Drop what concerns nothing alive any more."""
        self._held = {name: each for name, each in self._held.items() if now < each.until}

    def entries(self) -> list[Revocation]:
        """Return every revocation."""
        return list(self._held.values())

    def __len__(self) -> int:
        return len(self._held)


class Standing(Enum):
    """How much an instance may say about tokens, by the age of what it knows."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


def standing_at(age: timedelta | None, *, critical: bool) -> Standing:
    """Judge knowledge that is this old; None when nothing was ever known.

    Past the bound an answer about a critical action would be a guess; others are answered for a
    little longer, and marked.
    """
    if age is None or age > LAST_BOUND:
        return Standing.UNKNOWN
    if age <= BOUND:
        return Standing.FRESH
    return Standing.UNKNOWN if critical else Standing.STALE
