"""What it means that two policies answer one request differently: harder, easier, or both."""

from collections.abc import Set as AbstractSet
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

import msgspec

from stepup.domain.assurance import Acr, Ladder, Method
from stepup.domain.decision import Decision, StepUp
from stepup.domain.recorded_decision import Outcome, outcome_of
from stepup.domain.requirement import Fallback, OnUnenrolled, Requirement

_UNENROLLED = tuple(OnUnenrolled)
_Orderly = TypeVar("_Orderly", int, timedelta)


class DifferenceKind(StrEnum):
    """Every way in which two answers differ; of two step-ups by what they ask for."""

    ALLOW_TO_STEP_UP = "allow_to_step_up"
    ALLOW_TO_DENY = "allow_to_deny"
    STEP_UP_TO_ALLOW = "step_up_to_allow"
    STEP_UP_TO_DENY = "step_up_to_deny"
    DENY_TO_ALLOW = "deny_to_allow"
    DENY_TO_STEP_UP = "deny_to_step_up"
    RAISED = "raised"
    LOWERED = "lowered"
    RAISED_AND_LOWERED = "raised_and_lowered"


class Part(StrEnum):
    """The parts of a requirement that make it harder or easier to meet."""

    ACR = "acr"
    MAX_AGE = "max_age"
    METHODS = "methods"
    ONCE = "once"
    BOUND = "bound"
    MIN_CREDENTIAL_AGE = "min_credential_age"
    ON_UNENROLLED = "on_unenrolled"
    FALLBACK = "fallback"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer differs from the one before it; the parts are those of two step-ups."""

    kind: DifferenceKind
    raised: frozenset[Part] = frozenset()
    lowered: frozenset[Part] = frozenset()


def difference_of(before: Decision, after: Decision, ladder: Ladder) -> Difference | None:
    """Say how the second answer differs; None when a caller would see no difference.

    Levels are compared on `ladder`, the one that the second answer was made on.
    """
    if isinstance(before, StepUp) and isinstance(after, StepUp):
        return _of_requirements(before.requirement, after.requirement, ladder)
    kind = _KINDS.get((outcome_of(before), outcome_of(after)))
    return None if kind is None else Difference(kind=kind)


_KINDS = {
    (before, after): DifferenceKind(f"{before}_to_{after}")
    for before in Outcome
    for after in Outcome
    if before is not after
}


def _of_requirements(before: Requirement, after: Requirement, ladder: Ladder) -> Difference | None:
    if before == after:
        return None
    raised, lowered = set[Part](), set[Part]()
    for part, (is_raised, is_lowered) in {
        **_of_both(before, after, ladder),
        Part.ONCE: _order(before.once, after.once),
        Part.BOUND: _sets(before.bind, after.bind),
        # In the order of strictness, the strictest first.
        Part.ON_UNENROLLED: _order(
            _UNENROLLED.index(after.on_unenrolled), _UNENROLLED.index(before.on_unenrolled)
        ),
        Part.FALLBACK: _fallbacks(before.fallback, after.fallback, ladder),
    }.items():
        if is_raised:
            raised.add(part)
        if is_lowered:
            lowered.add(part)
    if not raised and not lowered:
        return None
    if raised and lowered:
        kind = DifferenceKind.RAISED_AND_LOWERED
    else:
        kind = DifferenceKind.RAISED if raised else DifferenceKind.LOWERED
    return Difference(kind=kind, raised=frozenset(raised), lowered=frozenset(lowered))


def _of_both(
    before: Requirement | Fallback, after: Requirement | Fallback, ladder: Ladder
) -> dict[Part, tuple[bool, bool]]:
    return {
        Part.ACR: _levels(before.acr, after.acr, ladder),
        Part.MAX_AGE: _ages(before.max_age, after.max_age),
        Part.METHODS: _methods(before.methods, after.methods),
        Part.MIN_CREDENTIAL_AGE: _order(before.min_credential_age, after.min_credential_age),
    }


def _fallbacks(
    before: Fallback | None, after: Fallback | None, ladder: Ladder
) -> tuple[bool, bool]:
    # Whether there is one at all is said by `on_unenrolled`.
    if before is None or after is None:
        return False, False
    parts = _of_both(before, after, ladder).values()
    return any(is_raised for is_raised, _ in parts), any(is_lowered for _, is_lowered in parts)


def _order(before: _Orderly, after: _Orderly) -> tuple[bool, bool]:
    return before < after, after < before


def _levels(before: Acr, after: Acr, ladder: Ladder) -> tuple[bool, bool]:
    if before == after:
        return False, False
    # A level that the newer ladder does not have cannot be placed: both, rather than a guess.
    if before not in ladder:
        return True, True
    return ladder.rank(after) > ladder.rank(before), ladder.rank(after) < ladder.rank(before)


def _ages(before: timedelta | None, after: timedelta | None) -> tuple[bool, bool]:
    oldest = timedelta.max
    first = oldest if before is None else before
    second = oldest if after is None else after
    return second < first, second > first


def _methods(
    before: frozenset[Method] | None, after: frozenset[Method] | None
) -> tuple[bool, bool]:
    if before is None or after is None:
        return after is not None, before is not None
    # Fewer methods are harder.
    return _sets(after, before)


def _sets(before: AbstractSet[str], after: AbstractSet[str]) -> tuple[bool, bool]:
    """Say whether something was added, and whether something was taken away."""
    return bool(after - before), bool(before - after)
