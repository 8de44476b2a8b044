"""What changed in a demand, part by part."""

from collections.abc import Callable, Iterator
from typing import Any

from stepup.domain.assurance import Ladder
from stepup.domain.requirement import Requirement
from stepup.policy_language.meaning.order import Outcome, changed_parts, direction_of_outcome
from stepup.policy_language.meaning.statement import Change
from stepup.policy_language.meaning.words import (
    age_in_words,
    level_in_words,
    methods_in_words,
    names_in_words,
    outcome_in_words,
    value_in_words,
)


def changes_of_outcome(before: Outcome, after: Outcome, ladder: Ladder) -> Iterator[Change]:
    """Tell how one outcome differs from another: by its parts when both are demands."""
    if isinstance(before, Requirement) and isinstance(after, Requirement):
        yield from changes_of_requirement(before, after, ladder)
        return
    direction = direction_of_outcome(before, after, ladder)
    if direction is not None:
        old, new = outcome_in_words(before), outcome_in_words(after)
        yield Change(direction, "outcome", f"now {new} instead of {old}", old, new)


def changes_of_requirement(
    before: Requirement, after: Requirement, ladder: Ladder
) -> Iterator[Change]:
    """Tell every part in which two demands differ."""
    for part, direction in changed_parts(before, after, ladder):
        old, new = getattr(before, part), getattr(after, part)
        tell = _TOLD.get(part)
        if tell is None:
            was, is_now = value_in_words(old), value_in_words(new)
            text = f"`{part}` is {is_now} instead of {was}"
        else:
            was, is_now, text = tell(old, new)
        yield Change(direction, part, text, was, is_now)


Told = tuple[str, str, str]


def _instead(say: Callable[[Any], str], prefix: str = "now ") -> Callable[[Any, Any], Told]:
    def tell(old: Any, new: Any) -> Told:
        was, is_now = say(old), say(new)
        return was, is_now, f"{prefix}{is_now} instead of {was}"

    return tell


def _once(old: bool, new: bool) -> Told:
    text = "a token is good for one use" if new else "a token is no longer good for one use only"
    return value_in_words(old), value_in_words(new), text


def _named(verb: str) -> Callable[[Any, Any], Told]:
    def tell(old: Any, new: Any) -> Told:
        added = [name for name in new if name not in old]
        gone = [name for name in old if name not in new]
        said = [
            *([f"also {verb} {names_in_words(frozenset(added))}"] if added else []),
            *([f"no longer {verb} {names_in_words(frozenset(gone))}"] if gone else []),
        ]
        text = " and ".join(said) or f"{verb} {names_in_words(new)}, in another order"
        return names_in_words(old), names_in_words(new), text

    return tell


_TOLD: dict[str, Callable[[Any, Any], Told]] = {
    "acr": _instead(level_in_words),
    "max_age": _instead(age_in_words),
    "methods": _instead(methods_in_words),
    "once": _once,
    "bind": _named("bound to"),
    "display": _named("shows"),
    "token_lifetime": _instead(value_in_words, "a token lives "),
    "audience": _instead(value_in_words, "a token is for "),
    "on_unenrolled": _instead(value_in_words, "for who has nothing that reaches it: "),
    "on_degraded": _instead(value_in_words, "while a dependency is away: "),
    "min_credential_age": _instead(value_in_words, "an authenticator is at least as old as "),
    "fallback": _instead(value_in_words, "the fallback is "),
}
