"""Conditions in words where they are simple, and which of two applies to less.

Simple is a comparison of one attribute with a literal, and several of them joined by `&&`; anything
else is quoted as it is written. What is not understood is never taken to be narrower.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from stepup.domain.condition import Condition
from stepup.domain.decision_request import Attribute, AttributeType
from stepup.policy_language.parts import conjuncts_of, disjuncts_of

_PATH = r"(?P<path>[a-z]+\.\w+)"
_LITERAL = r"(?P<literal>-?\d{1,30}(?:\.\d{1,30})?|\"[^\"\\\n]*\"|'[^'\\\n]*'|true|false)"
_FORWARD = re.compile(rf"{_PATH}\s*(?P<sign>[<>]=?|==|!=)\s*{_LITERAL}", re.ASCII)
_BACKWARD = re.compile(rf"{_LITERAL}\s*(?P<sign>[<>]=?|==|!=)\s*{_PATH}", re.ASCII)
_FLAG = re.compile(rf"(?P<not>!?)\s*{_PATH}", re.ASCII)
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_SIGNS = {
    ">": "above",
    ">=": "at least",
    "<": "below",
    "<=": "at most",
    "==": "is",
    "!=": "is not",
}
_NUMBERS = frozenset({AttributeType.DECIMAL, AttributeType.INT, AttributeType.DOUBLE})

Attributes = Mapping[str, Attribute]
"""Declared attributes by their path, as `action.amount`."""


class Comparison(NamedTuple):
    """One attribute compared with a literal; `number` is there when that is one."""

    path: str
    sign: str
    literal: str
    number: Decimal | None

    def implies(self, other: "Comparison") -> bool:
        """Say whether whatever passes this passes the other."""
        if self == other:
            return True
        if self.path != other.path or self.number is None or other.number is None:
            return False
        if self.sign == "==":
            return _passes(self.number, other)
        mine, theirs, bound = self.sign, other.sign, other.number
        if mine[0] != theirs[0] or theirs in {"==", "!="}:
            return False
        beyond = self.number > bound if mine[0] == ">" else self.number < bound
        return beyond or (self.number == bound and not (mine == theirs[0] + "=" and theirs != mine))

    def excludes(self, other: "Comparison") -> bool:
        """Say whether nothing passes both."""
        if self.path != other.path:
            return False
        if self.number is None or other.number is None:
            signs = {self.sign, other.sign}
            same = self.literal == other.literal
            return (signs == {"=="} and not same) or (signs == {"==", "!="} and same)
        if self.sign == "==":
            return not _passes(self.number, other)
        if other.sign == "==":
            return not _passes(other.number, self)
        return _are_apart(self, other)


def in_words(condition: Condition | None, attributes: Sequence[Attribute]) -> str:
    """Say when a rule applies, as `amount above 1,000.00`."""
    if condition is None:
        return "always"
    declared = by_path(attributes)
    told: list[str] = []
    named = ""
    for part in conjuncts_of(condition.source):
        said = _told(part, declared)
        if said is None:
            return f"when `{' '.join(condition.source.split())}`"
        name, comparison = said
        # `amount above 0.00 and at most 100.00`
        told.append(comparison if name == named else f"{name} {comparison}")
        named = name
    return " and ".join(told)


def is_within(narrow: Condition | None, wide: Condition | None) -> bool:
    """Say whether the first certainly applies to nothing that the second does not apply to."""
    if wide is None:
        return True
    if narrow is None:
        return False
    return all(_is_one_within(narrow.source, wanted) for wanted in conjuncts_of(wide.source))


def are_apart(first: Condition | None, second: Condition | None) -> bool:
    """Say whether certainly nothing meets both."""
    if first is None or second is None:
        return False
    pairs = [
        (read_comparison(one), read_comparison(other))
        for one in conjuncts_of(first.source)
        for other in conjuncts_of(second.source)
    ]
    return any(one and other and one.excludes(other) for one, other in pairs)


def by_path(attributes: Sequence[Attribute]) -> Attributes:
    """Return attributes by the path that conditions use."""
    return {f"{attribute.entity}.{attribute.name}": attribute for attribute in attributes}


def read_comparison(text: str) -> Comparison | None:
    """Read one comparison; None when it is anything else."""
    if (match := _FORWARD.fullmatch(text)) is not None:
        sign = match["sign"]
    elif (match := _BACKWARD.fullmatch(text)) is not None:
        sign = _MIRRORED.get(match["sign"], match["sign"])
    elif (match := _FLAG.fullmatch(text)) is not None:
        return Comparison(match["path"], "==", "false" if match["not"] else "true", None)
    else:
        return None
    literal = match["literal"]
    number = Decimal(literal) if literal[-1].isdigit() else None
    return Comparison(match["path"], sign, literal.strip("\"'"), number)


def _told(text: str, declared: Attributes) -> tuple[str, str] | None:
    comparison = read_comparison(text)
    if comparison is None:
        return None
    attribute = declared.get(comparison.path)
    entity, _, name = comparison.path.partition(".")
    called = name if entity == "action" else comparison.path
    if comparison.number is not None:
        if attribute is None or attribute.type not in _NUMBERS:
            return None
        return called, f"{_SIGNS[comparison.sign]} {_number(comparison.number, attribute)}"
    return called, f"{_SIGNS[comparison.sign]} {comparison.literal}"


def _number(number: Decimal, attribute: Attribute) -> str:
    if attribute.type is AttributeType.DECIMAL:
        return f"{number.scaleb(-attribute.scale):,.{attribute.scale}f}"
    return f"{number:,}"


def _is_one_within(narrow: str, wanted: str) -> bool:
    """Say whether every way to meet the first meets the second."""
    return all(
        any(
            _implies(part, way)
            for part in (ways, *conjuncts_of(ways))
            for way in (wanted, *disjuncts_of(wanted))
        )
        for ways in disjuncts_of(narrow)
    )


def _implies(part: str, wanted: str) -> bool:
    if part == wanted:
        return True
    first, second = read_comparison(part), read_comparison(wanted)
    return first is not None and second is not None and first.implies(second)


def _passes(number: Decimal, comparison: Comparison) -> bool:
    bound = comparison.number
    if bound is None:
        return False
    return {
        ">": number > bound,
        ">=": number >= bound,
        "<": number < bound,
        "<=": number <= bound,
        "==": number == bound,
        "!=": number != bound,
    }[comparison.sign]


def _are_apart(first: Comparison, second: Comparison) -> bool:
    signs = {first.sign[0], second.sign[0]}
    if signs != {"<", ">"} or first.number is None or second.number is None:
        return False
    low, high = (first, second) if first.sign[0] == ">" else (second, first)
    if low.number is None or high.number is None:
        return False
    touching = low.number == high.number and not (low.sign == ">=" and high.sign == "<=")
    return low.number > high.number or touching
