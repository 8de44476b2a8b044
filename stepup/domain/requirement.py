"""What a rule asks for, and how several demands become one: the strictest of each."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

import msgspec

from stepup.domain.assurance import Acr, Ladder, Level, Method

DEFAULT_TOKEN_LIFETIME = timedelta(seconds=120)
# Long enough for a batch, short enough that a lost token is worth little.
MAX_TOKEN_LIFETIME = timedelta(seconds=600)

_Word = TypeVar("_Word", bound=StrEnum)


class OnUnenrolled(StrEnum):
    """What happens to a subject with no authenticator that could reach the level.

    In the order of strictness. `FALLBACK` asks for the fallback that is written out; of a
    guardrail, which has none, it means that nothing is said.
    """

    DENY = "deny"
    ENROLL = "enroll"
    FALLBACK = "fallback"


class OnDegraded(StrEnum):
    """What becomes of a decision while a dependency is away, in the order of strictness.

    `REFUSE` answers nothing, `RAISE` asks for the strongest requirement, `SERVE` goes on.
    """

    REFUSE = "refuse"
    RAISE = "raise"
    SERVE = "serve"


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked instead of a subject that has nothing for the demand itself."""

    acr: Acr
    max_age: timedelta | None = None
    methods: frozenset[Method] | None = None
    min_credential_age: timedelta = timedelta(0)

    def raised_by(self, other: "Fallback", ladder: Ladder) -> "Fallback":
        """Join two, the strictest of each part."""
        return Fallback(
            acr=ladder.strongest(self.acr, other.acr),
            max_age=_least(self.max_age, other.max_age),
            methods=_common(self.methods, other.methods),
            min_credential_age=max(self.min_credential_age, other.min_credential_age),
        )


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """The authentication that an action needs, and the token that proves it.

    `max_age` is None when any age will do. `methods` is None when every method may be used. An
    authenticator that is younger than `min_credential_age` does not count.
    """

    acr: Acr
    max_age: timedelta | None = None
    methods: frozenset[Method] | None = None
    once: bool = False
    bind: frozenset[str] = frozenset()
    display: tuple[str, ...] = ()
    token_lifetime: timedelta = DEFAULT_TOKEN_LIFETIME
    audience: str | None = None
    on_unenrolled: OnUnenrolled = OnUnenrolled.DENY
    min_credential_age: timedelta = timedelta(0)
    fallback: Fallback | None = None
    on_degraded: OnDegraded = OnDegraded.SERVE

    def __post_init__(self) -> None:
        """Refuse spans that mean nothing."""
        if self.max_age is not None and self.max_age < timedelta(0):
            raise ValueError("max_age cannot be negative")
        if self.min_credential_age < timedelta(0):
            raise ValueError("min_credential_age cannot be negative")
        if self.fallback is not None and self.on_unenrolled is not OnUnenrolled.FALLBACK:
            raise ValueError("a fallback is for who is not enrolled")
        if not timedelta(0) < self.token_lifetime <= MAX_TOKEN_LIFETIME:
            raise ValueError("a token lives longer than nothing and at most ten minutes")

    @property
    def needs_own_ceremony(self) -> bool:
        """Say whether only an approval of this very action will do.

        A `max_age` of 0 asks for it too: no authentication is ever 0 seconds old when it arrives.
        """
        return self.once or bool(self.bind) or self.max_age == timedelta(0)

    def is_reachable(self, level: Level) -> bool:
        """Say whether the allowed methods contain one of the level's combinations."""
        methods = self.methods
        return methods is None or any(
            all(factor.method in methods for factor in combination) for combination in level.any_of
        )

    def raised_by(self, other: "Requirement", ladder: Ladder) -> "Requirement":
        """Join two demands; neither is ever weakened, and the audience stays ours if we have one."""
        on_unenrolled = stricter(self.on_unenrolled, other.on_unenrolled)
        return Requirement(
            acr=ladder.strongest(self.acr, other.acr),
            max_age=_least(self.max_age, other.max_age),
            methods=_common(self.methods, other.methods),
            once=self.once or other.once,
            bind=self.bind | other.bind,
            display=(*self.display, *(d for d in other.display if d not in self.display)),
            token_lifetime=min(self.token_lifetime, other.token_lifetime),
            audience=self.audience or other.audience,
            on_unenrolled=on_unenrolled,
            min_credential_age=max(self.min_credential_age, other.min_credential_age),
            fallback=(
                self._joined_fallback(other, ladder)
                if on_unenrolled is OnUnenrolled.FALLBACK
                else None
            ),
            on_degraded=stricter(self.on_degraded, other.on_degraded),
        )

    def fallen_back(self) -> "Requirement | None":
        """Return what is asked of who has nothing for this; None when nothing else will do."""
        if self.fallback is None:
            return None
        return msgspec.structs.replace(
            self,
            acr=self.fallback.acr,
            max_age=self.fallback.max_age,
            methods=self.fallback.methods,
            min_credential_age=self.fallback.min_credential_age,
            on_unenrolled=OnUnenrolled.DENY,
            fallback=None,
        )

    def settled(self) -> "Requirement":
        """Return this without its fallback, once it is known that the subject needs none."""
        if self.on_unenrolled is not OnUnenrolled.FALLBACK:
            return self
        return msgspec.structs.replace(self, on_unenrolled=OnUnenrolled.DENY, fallback=None)

    def _joined_fallback(self, other: "Requirement", ladder: Ladder) -> Fallback | None:
        if self.fallback is None and other.fallback is None:
            return None
        # Who names no fallback accepts nothing below itself.
        return self.floor.raised_by(other.floor, ladder)

    @property
    def floor(self) -> Fallback:
        """The least that lets anybody through: the fallback, or the demand itself."""
        return self.fallback or Fallback(
            acr=self.acr,
            max_age=self.max_age,
            methods=self.methods,
            min_credential_age=self.min_credential_age,
        )


def strictest(requirements: Iterable[Requirement], ladder: Ladder) -> Requirement | None:
    """Join any number of demands; None when there are none."""
    joined: Requirement | None = None
    for requirement in requirements:
        joined = requirement if joined is None else joined.raised_by(requirement, ladder)
    return joined


def stricter(first: _Word, second: _Word) -> _Word:
    """Return the stricter of two words of an enumeration that stands in that order."""
    return min(first, second, key=list(type(first)).index)


def _least(first: timedelta | None, second: timedelta | None) -> timedelta | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


def _common(
    first: frozenset[Method] | None, second: frozenset[Method] | None
) -> frozenset[Method] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
