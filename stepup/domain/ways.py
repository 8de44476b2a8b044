"""The ways to a level: the combinations of factors that reach it with the methods that are allowed."""

from stepup.domain.assurance import Amr, CeremonyFacts, Factor, Level, Method
from stepup.domain.challenge import amr_of
from stepup.domain.requirement import Requirement


def ways_to(level: Level, requirement: Requirement) -> tuple[tuple[Factor, ...], ...]:
    """List the combinations that reach a level, whoever the subject is."""
    allowed = requirement.methods
    return tuple(
        combination
        for combination in level.any_of
        if allowed is None or all(factor.method in allowed for factor in combination)
    )


def methods_of(level: Level, requirement: Requirement) -> tuple[Method, ...]:
    """List the methods that can have a part in reaching a level, whoever the subject is."""
    named = {factor.method for combination in level.any_of for factor in combination}
    allowed = named if requirement.methods is None else named & requirement.methods
    return tuple(method for method in Method if method in allowed)


def amr_values_of(level: Level, requirement: Requirement) -> tuple[Amr, ...]:
    """List what every way to reach a level has in common, in RFC 8176's words.

    AuthZEN's obligations profile wants all of what is listed to be used, so a word that belongs to
    one way alone would rule the other ways out.
    """
    shared: tuple[Amr, ...] | None = None
    for way in ways_to(level, requirement):
        certain = _certain_amr(way)
        shared = certain if shared is None else tuple(v for v in shared if v in certain)
    return shared or ()


def _certain_amr(combination: tuple[Factor, ...]) -> tuple[Amr, ...]:
    facts = tuple(
        CeremonyFacts(
            method=factor.method,
            user_verified=factor.user_verified,
            device_bound=factor.device_bound,
        )
        for factor in combination
    )
    # Where a factor asks for no particular key, nobody knows yet which one it will be.
    return tuple(value for value in amr_of(facts) if value != "swk")
