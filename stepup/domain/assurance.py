"""Assurance: what a ceremony proved, and the ladder of levels it is measured on.

The level of a ceremony is computed from its facts, never from the name of its method: a passkey
without user verification is not more than a touch.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

import msgspec

from stepup.domain.ids import AuthenticatorId

Acr = NewType("Acr", str)
Amr = NewType("Amr", str)


class Method(StrEnum):
    """The ways to answer a challenge."""

    WEBAUTHN = "webauthn"
    TOTP = "totp"
    HOTP = "hotp"
    EMAIL = "email"
    SMS = "sms"
    RECOVERY_CODE = "recovery_code"


class CeremonyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one passed ceremony proved, and with which authenticator where that was noted."""

    method: Method
    user_verified: bool = False
    device_bound: bool = False
    attested: bool = False
    aaguid: str | None = None
    authenticator_id: AuthenticatorId | None = None

    @property
    def amr(self) -> tuple[Amr, ...]:
        """Name the methods in RFC 8176 section 2's words."""
        match self.method:
            case Method.WEBAUTHN:
                key = "hwk" if self.device_bound else "swk"
                values = [key, "user", "mfa"] if self.user_verified else [key]
            case Method.SMS:
                values = ["otp", "sms"]
            case _:
                # RFC 8176 knows no look-up secret; "kba" would promise something else.
                values = ["otp"]
        return tuple(Amr(value) for value in values)


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of a combination: a method, and the facts its ceremony must show.

    A list of `aaguids` asks for attestation too: without it a model number is only a claim.
    """

    method: Method
    user_verified: bool = False
    device_bound: bool = False
    attested: bool = False
    aaguids: tuple[str, ...] = ()

    def is_met_by(self, facts: CeremonyFacts) -> bool:
        """Say whether a passed ceremony counts as this factor."""
        return (
            facts.method is self.method
            and (facts.user_verified or not self.user_verified)
            and (facts.device_bound or not self.device_bound)
            and (facts.attested or not (self.attested or self.aaguids))
            and (not self.aaguids or facts.aaguid in self.aaguids)
        )


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One rung: the combinations that reach it, and how long it is good for by default."""

    acr: Acr
    any_of: tuple[tuple[Factor, ...], ...]
    max_age: timedelta

    def is_reached_by(self, passed: Iterable[CeremonyFacts]) -> bool:
        """Say whether the passed ceremonies contain one of the combinations."""
        ceremonies = tuple(passed)
        return any(
            factors_met(combination, ceremonies) == len(combination) for combination in self.any_of
        )


def factors_met(combination: Sequence[Factor], passed: Sequence[CeremonyFacts]) -> int:
    """Count the factors that are met, each by a ceremony of its own.

    One ceremony is one factor, however many of them it could pass for: two factors are two, or
    the word means nothing.
    """
    taken: dict[int, Factor] = {}

    def finds_one(factor: Factor, tried: set[int]) -> bool:
        # A ceremony that is taken is given up when its factor finds another (Kuhn's matching).
        for place, facts in enumerate(passed):
            if place not in tried and factor.is_met_by(facts):
                tried.add(place)
                if place not in taken or finds_one(taken[place], tried):
                    taken[place] = factor
                    return True
        return False

    return sum(finds_one(factor, set()) for factor in combination)


class Ladder(msgspec.Struct, frozen=True):
    """All levels, weakest first."""

    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        """Refuse a ladder without rungs, or with one rung twice."""
        acrs = [level.acr for level in self.levels]
        if not acrs or len(set(acrs)) != len(acrs):
            raise ValueError("a ladder needs levels, each named once")

    def __contains__(self, acr: object) -> bool:
        return any(level.acr == acr for level in self.levels)

    @property
    def acrs(self) -> tuple[Acr, ...]:
        """All names, weakest first."""
        return tuple(level.acr for level in self.levels)

    @property
    def top(self) -> Level:
        """The strongest level there is."""
        return self.levels[-1]

    def rank(self, acr: Acr) -> int:
        """Place an acr on the ladder; one that is not on it stands below everything."""
        for rank, level in enumerate(self.levels):
            if level.acr == acr:
                return rank
        return -1

    def get(self, acr: Acr) -> Level:
        """Return the level of that name.

        Raises:
            KeyError: If the ladder has no such level.
        """
        rank = self.rank(acr)
        if rank < 0:
            raise KeyError(acr)
        return self.levels[rank]

    def reaches(self, acr: Acr, wanted: Acr) -> bool:
        """Say whether `acr` is at least `wanted`; an unknown wish is never reached."""
        return self.rank(acr) >= self.rank(wanted) >= 0

    def strongest(self, first: Acr, *others: Acr) -> Acr:
        """Return the highest of some levels."""
        return max((first, *others), key=self.rank)

    def level_of(self, passed: Iterable[CeremonyFacts]) -> Acr | None:
        """Compute the highest level that the passed ceremonies reach."""
        ceremonies = tuple(passed)
        for level in reversed(self.levels):
            if level.is_reached_by(ceremonies):
                return level.acr
        return None


class AuthnContext(msgspec.Struct, frozen=True, kw_only=True):
    """How, how strongly and when a subject authenticated.

    None of the authenticators that it used was younger than `credential_age`, as far as anybody
    looked: 0 when nobody asked.
    """

    acr: Acr
    auth_time: datetime
    amr: tuple[Amr, ...] = ()
    credential_age: timedelta = timedelta(0)


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication that was made for one action and the values bound to it.

    `once` when it is good for one use, which whoever acts on it must end. `fallback_for` is the
    level that was demanded, when the subject had nothing for it and a fallback was accepted.
    """

    context: AuthnContext
    action: str | None = None
    bound_digest: str | None = None
    once: bool = False
    fallback_for: Acr | None = None


def _level(acr: str, max_age: timedelta, *combinations: tuple[Factor, ...]) -> Level:
    return Level(acr=Acr(acr), any_of=combinations, max_age=max_age)


# NIST SP 800-63B-4: e-mail is no authenticator at all and SMS is restricted, so neither reaches
# the level that stands for AAL2. The ages follow section 2.2.3 (one hour of inactivity) downwards.
DEFAULT_LADDER = Ladder(
    levels=(
        _level(
            "urn:stepup:acr:1",
            timedelta(hours=1),
            (Factor(method=Method.EMAIL),),
            (Factor(method=Method.SMS),),
            (Factor(method=Method.RECOVERY_CODE),),
            (Factor(method=Method.TOTP),),
            (Factor(method=Method.HOTP),),
            (Factor(method=Method.WEBAUTHN),),
        ),
        _level(
            "urn:stepup:acr:2",
            timedelta(minutes=15),
            (Factor(method=Method.TOTP),),
            (Factor(method=Method.HOTP),),
            (Factor(method=Method.WEBAUTHN, user_verified=True),),
        ),
        _level(
            "phr",
            timedelta(minutes=10),
            (Factor(method=Method.WEBAUTHN, user_verified=True),),
        ),
        _level(
            "phrh",
            timedelta(minutes=5),
            (Factor(method=Method.WEBAUTHN, user_verified=True, device_bound=True, attested=True),),
        ),
    )
)
