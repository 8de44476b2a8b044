"""Values, demands and outcomes in words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

import msgspec

from stepup.domain.policy import Effect
from stepup.domain.requirement import Requirement
from stepup.policy_language.spans import format_span

_NUMBERED_LEVEL = re.compile(r"urn:stepup:acr:(\d+)", re.ASCII)
_EFFECTS = {Effect.ALLOW: "allowed", Effect.DENY: "denied"}


def level_in_words(acr: str) -> str:
    """Name a level: our own numbered ones by their number."""
    match = _NUMBERED_LEVEL.fullmatch(acr)
    return f"level {match[1]}" if match else acr


def age_in_words(max_age: timedelta | None) -> str:
    """Say how old an authentication may be."""
    if max_age is None:
        return "of any age"
    return f"at most {format_span(max_age)} old" if max_age else "made for this alone"


def methods_in_words(methods: AbstractSet[str] | None) -> str:
    """Say by which methods."""
    return "by any method" if methods is None else f"by {names_in_words(methods)}"


def names_in_words(names: AbstractSet[str] | Sequence[str]) -> str:
    """List names, those without an order in that of the alphabet."""
    listed = sorted(names) if isinstance(names, AbstractSet) else names
    return ", ".join(str(name) for name in listed) or "nothing"


def outcome_in_words(outcome: Requirement | Effect) -> str:
    """Say what a rule or a default comes to."""
    if isinstance(outcome, Effect):
        return _EFFECTS[outcome]
    said = [level_in_words(outcome.acr), age_in_words(outcome.max_age)]
    if outcome.methods is not None:
        said.append(methods_in_words(outcome.methods))
    if outcome.once:
        said.append("for one use")
    if outcome.bind:
        said.append(f"bound to {names_in_words(outcome.bind)}")
    return ", ".join(said)


def outcome_in_brief(outcome: Requirement | Effect) -> str:
    """Say the one thing about an outcome that a reader knows it by."""
    return _EFFECTS[outcome] if isinstance(outcome, Effect) else level_in_words(outcome.acr)


def value_in_words(value: object) -> str:
    """Write any value that a document can set."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return format_span(value)
        case _:
            return ", ".join(_listed(value)) or "nothing"


def _listed(value: object) -> Iterator[str]:
    match value:
        case Mapping():
            yield from (f"{name}: {value_in_words(each)}" for name, each in value.items())
        case msgspec.Struct():
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            yield from (f"{n} {value_in_words(v)}" for n, v in fields.items() if v is not None)
        case set() | frozenset():
            yield from sorted(value_in_words(each) for each in value)
        case tuple() | list():
            yield from map(value_in_words, value)
        case _:
            yield str(value)
