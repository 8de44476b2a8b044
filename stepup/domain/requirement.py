"""What a rule asks for, and how several demands become one: the strictest of each."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Acr, Ladder, Level, Method

DEFAULT_TOKEN_LIFETIME = timedelta(seconds=120)
# Long enough for a batch, short enough that a lost token is worth little (DESIGN section 5).
MAX_TOKEN_LIFETIME = timedelta(seconds=600)


class OnUnenrolled(StrEnum):
    """What happens to a subject with no authenticator that could reach the level."""

    DENY = "deny"
    ENROLL = "enroll"


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """The authentication that an action needs, and the token that proves it.

    `max_age` is None when any age will do. `methods` is None when every method may be used.
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

    def __post_init__(self) -> None:
        """Refuse spans that mean nothing."""
        if self.max_age is not None and self.max_age < timedelta(0):
            raise ValueError("max_age cannot be negative")
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
        return Requirement(
            acr=ladder.strongest(self.acr, other.acr),
            max_age=_least(self.max_age, other.max_age),
            methods=_common(self.methods, other.methods),
            once=self.once or other.once,
            bind=self.bind | other.bind,
            display=(*self.display, *(d for d in other.display if d not in self.display)),
            token_lifetime=min(self.token_lifetime, other.token_lifetime),
            audience=self.audience or other.audience,
            on_unenrolled=(
                OnUnenrolled.DENY
                if OnUnenrolled.DENY in {self.on_unenrolled, other.on_unenrolled}
                else OnUnenrolled.ENROLL
            ),
        )


def strictest(requirements: Iterable[Requirement], ladder: Ladder) -> Requirement | None:
    """Join any number of demands; None when there are none."""
    joined: Requirement | None = None
    for requirement in requirements:
        joined = requirement if joined is None else joined.raised_by(requirement, ladder)
    return joined


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
