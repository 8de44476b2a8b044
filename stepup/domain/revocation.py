"""What ends tokens before their time.

One token; all of a ceremony; all of a subject, a client, an authenticator or a signing key. Kept in memory by every process and in both stores. Entries are only ever added and raised, so it
does no harm to hear of one twice, late, or from several sides.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import NamedTuple

import msgspec

from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.challenge import CHALLENGE_LIFETIME
from stepup.domain.ids import (
    AuthenticatorId,
    ChallengeId,
    ClientId,
    KeyId,
    SubjectId,
    TokenId,
)
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
    CLIENT = "client"
    AUTHENTICATOR = "authenticator"
    """Its value names the subject, too: `authenticator_value`."""


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one token, subject or whatever it is from before a moment has ended.

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
        return cls._of_proofs(Revoked.SUBJECT, subject_id, now)

    @classmethod
    def of_client(cls, client_id: ClientId, now: datetime) -> "Revocation":
        """End whatever was proved for a client up to now."""
        return cls._of_proofs(Revoked.CLIENT, client_id, now)

    @classmethod
    def of_disabled(cls, client_id: ClientId, now: datetime) -> "Revocation":
        """End whatever was proved for a client that is taken out of service.

        Also what is proved at instances that have not heard of it yet.
        """
        ended = cls.of_client(client_id, now)
        return msgspec.structs.replace(
            ended, before=ended.before + BOUND, until=ended.until + BOUND
        )

    @classmethod
    def of_authenticator(
        cls, subject_id: SubjectId, authenticator_id: AuthenticatorId, now: datetime
    ) -> "Revocation":
        """End whatever an authenticator of a subject has had a part in up to now.

        What nobody knows the authenticators of ends with it, if it is the subject's.
        """
        value = authenticator_value(subject_id, authenticator_id)
        return cls._of_proofs(Revoked.AUTHENTICATOR, value, now)

    @classmethod
    def of_removed(
        cls, subject_id: SubjectId, authenticator_id: AuthenticatorId, now: datetime
    ) -> "Revocation":
        """End whatever an authenticator has had a part in that is no more.

        Also what was passed with it and another one that came later.
        """
        ended = cls.of_authenticator(subject_id, authenticator_id, now)
        return msgspec.structs.replace(ended, before=ended.until)

    @classmethod
    def of_key(cls, key_id: KeyId, min_iat: datetime, now: datetime) -> "Revocation":
        """End all tokens under a key that were issued before a moment."""
        until = max(min_iat, now) + MAX_TOKEN_LIFETIME + CLOCK_MARGIN
        return cls(what=Revoked.KEY, value=key_id, before=min_iat, until=until, at=now)

    @classmethod
    def _of_proofs(cls, what: Revoked, value: str, now: datetime) -> "Revocation":
        before = now + CLOCK_MARGIN
        until = before + CHALLENGE_LIFETIME + CODE_LIFETIME + MAX_TOKEN_LIFETIME + LONGEST_REFRESH
        return cls(what=what, value=value, before=before, until=until, at=now)

    @property
    def subject_of_authenticator(self) -> SubjectId | None:
        """The subject whose authenticator this is about; None when it is about something else."""
        if self.what is not Revoked.AUTHENTICATOR:
            return None
        return SubjectId(self.value.partition("/")[0])

    def raised_by(self, other: "Revocation") -> "Revocation":
        """Join two about one thing: whatever one of them ends has ended."""
        return msgspec.structs.replace(
            self,
            before=max(self.before, other.before),
            until=max(self.until, other.until),
            at=max(self.at, other.at),
        )


class Ground(NamedTuple):
    """What a token can end by: it has, when that is revoked from before a later moment than `at`."""

    what: Revoked
    value: str
    at: datetime


def grounds_of(token: ElevatedToken, key_id: str | None) -> tuple[Ground, ...]:
    """Return everything that can end a token which was signed with this key.

    Of a subject, a client or an authenticator it counts what was proved before the revocation, not
    what was issued: a code may be redeemed after it.
    """
    grounds = [
        Ground(Revoked.TOKEN, token.id, _EVER),
        Ground(Revoked.GRANT, token.challenge_id, _EVER),
        Ground(Revoked.SUBJECT, token.subject.id, token.auth_time),
        Ground(Revoked.CLIENT, token.client_id, token.auth_time),
    ]
    grounds += grounds_of_authenticators(token.subject.id, token.authenticators, token.auth_time)
    if key_id is not None:
        grounds.append(Ground(Revoked.KEY, key_id, token.issued_at))
    return tuple(grounds)


def proofs_of(token: ElevatedToken) -> tuple[Ground, ...]:
    """Return what a token rests on: whatever ends one of these ends what is yet to be made of it."""
    of_itself = (Revoked.TOKEN, Revoked.GRANT)
    return tuple(each for each in grounds_of(token, None) if each.what not in of_itself)


def grounds_of_authenticators(
    subject_id: SubjectId, givers: tuple[AuthenticatorId, ...] | None, at: datetime
) -> list[Ground]:
    """Return what can end something by those that gave it; None when nobody noted which."""
    if givers is None:
        return [Ground(Revoked.AUTHENTICATOR, any_of(subject_id), at)]
    values = [authenticator_value(subject_id, each) for each in givers]
    return [Ground(Revoked.AUTHENTICATOR, value, at) for value in values]


def authenticator_value(subject_id: SubjectId, authenticator_id: AuthenticatorId) -> str:
    """Name an authenticator with its subject, neither of which has a slash."""
    return f"{subject_id}/{authenticator_id}"


def any_of(subject_id: SubjectId) -> str:
    """Name any authenticator of a subject: one that nobody noted may be each of them."""
    return f"{subject_id}/"


class RevocationMap:
    """Revocations by what they are about, each until nothing that it ends can be alive."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._held: dict[tuple[Revoked, str], Revocation] = {}
        # For what nobody knows the authenticators of: any of them may have given it.
        self._any_authenticator: dict[str, datetime] = {}
        for revocation in revocations:
            self.add(revocation)

    def add(self, revocation: Revocation) -> bool:
        """Add a revocation; says whether it ends anything that none before it ended."""
        name = (revocation.what, revocation.value)
        held = self._held.get(name)
        joined = revocation if held is None else held.raised_by(revocation)
        self._held[name] = joined
        self._note_subject(joined)
        return held is None or (joined.before, joined.until) != (held.before, held.until)

    def covers(self, token: ElevatedToken, key_id: str | None) -> bool:
        """Say whether a token that was signed with this key has ended."""
        return self.ends(grounds_of(token, key_id))

    def ends(self, grounds: Iterable[Ground]) -> bool:
        """Say whether one of these has ended."""
        for what, value, at in grounds:
            held = self._held.get((what, value))
            if held is not None and at < held.before:
                return True
            any_before = self._any_authenticator.get(value)
            if any_before is not None and at < any_before:
                return True
        return False

    def forget(self, now: datetime) -> None:
        """Drop what concerns nothing alive any more."""
        self._held = {name: each for name, each in self._held.items() if now < each.until}
        self._any_authenticator = {}
        for each in self._held.values():
            self._note_subject(each)

    def entries(self) -> list[Revocation]:
        """Return every revocation."""
        return list(self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def _note_subject(self, revocation: Revocation) -> None:
        subject_id = revocation.subject_of_authenticator
        if subject_id is not None:
            name, before = any_of(subject_id), revocation.at + CLOCK_MARGIN
            self._any_authenticator[name] = max(before, self._any_authenticator.get(name, before))


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
