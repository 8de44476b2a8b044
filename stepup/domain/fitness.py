"""Which of a subject's authenticators could meet a requirement, and why the others could not.

What counts is what `usable_authenticators` says, as when a challenge is opened; here is the reason.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.assurance import CeremonyFacts, Factor, Level
from stepup.domain.authenticator import (
    Authenticator,
    RecoveryCodes,
    old_enough,
    usable_authenticators,
)
from stepup.domain.requirement import Requirement


class Misfit(StrEnum):
    """Why an authenticator is of no use for a requirement."""

    NOT_CONFIRMED = "not_confirmed"
    USED_UP = "used_up"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    METHOD_NOT_IN_LEVEL = "method_not_in_level"
    NOT_USER_VERIFYING = "not_user_verifying"
    NOT_DEVICE_BOUND = "not_device_bound"
    NOT_ATTESTED = "not_attested"
    WRONG_MODEL = "wrong_model"
    TOO_YOUNG = "too_young"
    NEEDS_ANOTHER = "needs_another"
    NOT_NEEDED = "not_needed"


class Fitness(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticator, and what speaks against it: nothing, when it is usable."""

    authenticator: Authenticator
    why_not: tuple[Misfit, ...] = ()

    @property
    def usable(self) -> bool:
        """Say whether a challenge would offer it."""
        return not self.why_not


def fitness_of(
    requirement: Requirement,
    level: Level,
    authenticators: Iterable[Authenticator],
    now: datetime,
) -> tuple[Fitness, ...]:
    """Say of each authenticator whether it is usable, and why not."""
    enrolled = tuple(authenticators)
    counted = old_enough(requirement, enrolled, now)
    usable = {a.id for a in usable_authenticators(requirement, level, counted)}
    # Where one reaches the level alone, those that would only be a part of it are not offered.
    spare = Misfit.NOT_NEEDED if usable else Misfit.NEEDS_ANOTHER
    return tuple(
        Fitness(
            authenticator=a,
            why_not=()
            if a.id in usable
            else _why_not(requirement, level, a)
            or ((spare,) if a in counted else (Misfit.TOO_YOUNG,)),
        )
        for a in enrolled
    )


def _why_not(requirement: Requirement, level: Level, rejected: Authenticator) -> tuple[Misfit, ...]:
    if not rejected.usable:
        codes = rejected.credential
        unconfirmed = isinstance(codes, RecoveryCodes) and not codes.confirmed
        return (Misfit.NOT_CONFIRMED if unconfirmed else Misfit.USED_UP,)
    if requirement.methods is not None and rejected.method not in requirement.methods:
        return (Misfit.METHOD_NOT_ALLOWED,)
    factors = [
        factor
        for combination in level.any_of
        for factor in combination
        if factor.method is rejected.method
    ]
    if not factors:
        return (Misfit.METHOD_NOT_IN_LEVEL,)
    # Of the nearest one; it lacks nothing when the subject has nothing else to go with it.
    return min((_missing(factor, rejected.best_facts) for factor in factors), key=len)


def _missing(factor: Factor, facts: CeremonyFacts) -> tuple[Misfit, ...]:
    wrong_model = bool(factor.aaguids) and facts.aaguid not in factor.aaguids
    found = {
        Misfit.NOT_USER_VERIFYING: factor.user_verified and not facts.user_verified,
        Misfit.NOT_DEVICE_BOUND: factor.device_bound and not facts.device_bound,
        Misfit.NOT_ATTESTED: (factor.attested or bool(factor.aaguids)) and not facts.attested,
        Misfit.WRONG_MODEL: wrong_model,
    }
    return tuple(misfit for misfit, is_so in found.items() if is_so)
