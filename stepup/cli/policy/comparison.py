"""A difference of two documents, as the verbs show it."""

from typing import Any

import msgspec
import rich_click as click

from stepup.policy_language.meaning.documents import Comparison
from stepup.policy_language.meaning.statement import Direction

_COLORS = {Direction.WEAKER: "red", Direction.DIFFERENT: "yellow", Direction.STRICTER: "green"}


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return a difference as JSON shows it."""
    return {"diff": comparison.text, "meaning": msgspec.to_builtins(comparison.meaning)}


def comparison_in_words(comparison: Comparison) -> str:
    """Write a difference for people, weaker statements first."""
    text, meaning = comparison.text, comparison.meaning
    if not text:
        return "no difference"
    if meaning is None:
        return f"{text}\nwhat it means cannot be said: this release cannot read the older one"
    if not meaning:
        return f"{text}\nit means the same"
    told = [
        f"  {click.style(f'{each.direction:9}', fg=_COLORS[each.direction])} {each.text}"
        for each in meaning
    ]
    return "\n".join([text, "what it means:", *told])
