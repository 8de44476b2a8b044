"""Which of two values asks for more: the strictness of each part of a demand.

By the name of the part, so that a part that this table does not know is told as different, and never
forgotten.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from stepup.domain.assurance import Acr, Ladder
from stepup.domain.policy import Effect, Mode
from stepup.domain.requirement import OnDegraded, OnUnenrolled, Requirement
from stepup.policy_language.meaning.statement import Direction, joined

Outcome = Requirement | Effect

# Weakest first.
_WORDS: dict[str, tuple[StrEnum, ...]] = {
    "on_unenrolled": tuple(reversed(OnUnenrolled)),
    "on_degraded": tuple(reversed(OnDegraded)),
    "mode": tuple(Mode),
}
_FLAGS = frozenset({"once", "critical", "required"})


def direction_of_part(name: str, before: object, after: object, ladder: Ladder) -> Direction | None:
    """Say what a change of one part does; None when it is none."""
    if before == after:
        return None
    judge = _JUDGES.get(name)
    if name in _FLAGS:
        return _more(bool(before), bool(after))
    if name in _WORDS:
        return _word(_WORDS[name], before, after)
    if name == "acr":
        return _level(Acr(str(before)), Acr(str(after)), ladder)
    if name == "fallback":
        return _fallback(before, after, ladder)
    return Direction.DIFFERENT if judge is None else judge(before, after)


def direction_of_outcome(before: Outcome, after: Outcome, ladder: Ladder) -> Direction | None:
    """Say what it does to get the second outcome in place of the first."""
    if isinstance(before, Requirement) and isinstance(after, Requirement):
        return joined(direction for _, direction in changed_parts(before, after, ladder))
    return None if before == after else _more(_weight(before), _weight(after))


def changed_parts(
    before: msgspec.Struct, after: msgspec.Struct, ladder: Ladder
) -> Iterator[tuple[str, Direction]]:
    """Return the parts in which two structures of one kind differ."""
    for name in before.__struct_fields__:
        direction = direction_of_part(name, getattr(before, name), getattr(after, name), ladder)
        if direction is not None:
            yield name, direction


def _weight(outcome: Outcome) -> int:
    if isinstance(outcome, Requirement):
        return 1
    return 0 if outcome is Effect.ALLOW else 2


def _more(before: Any, after: Any) -> Direction:
    return Direction.STRICTER if after > before else Direction.WEAKER


def _less(before: Any, after: Any) -> Direction:
    return _more(after, before)


def _age(before: timedelta | None, after: timedelta | None) -> Direction:
    oldest = timedelta.max
    return _less(oldest if before is None else before, oldest if after is None else after)


def _fewer(before: AbstractSet[str] | None, after: AbstractSet[str] | None) -> Direction:
    if before is None or after is None:
        return Direction.STRICTER if before is None else Direction.WEAKER
    return _greater(after, before)


def _greater(before: AbstractSet[str], after: AbstractSet[str]) -> Direction:
    if before < after:
        return Direction.STRICTER
    return Direction.WEAKER if after < before else Direction.DIFFERENT


def _level(before: Acr, after: Acr, ladder: Ladder) -> Direction:
    # A level that the newer ladder does not have cannot be placed.
    if before not in ladder or after not in ladder:
        return Direction.DIFFERENT
    return _more(ladder.rank(before), ladder.rank(after))


def _word(order: tuple[StrEnum, ...], before: object, after: object) -> Direction:
    if before not in order or after not in order:
        return Direction.DIFFERENT
    return _more(order.index(before), order.index(after))


def _fallback(before: object, after: object, ladder: Ladder) -> Direction:
    if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
        parts = changed_parts(before, after, ladder)
        return joined(direction for _, direction in parts) or Direction.DIFFERENT
    return Direction.STRICTER if after is None else Direction.WEAKER


_JUDGES: dict[str, Callable[[Any, Any], Direction]] = {
    "max_age": _age,
    "methods": _fewer,
    "bind": _greater,
    "token_lifetime": _less,
    "min_credential_age": _more,
}
