"""What one document changes about another: as text, and in words."""

from typing import Any, NamedTuple

import msgspec
import rich_click as click

from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document
from stepup.policy_language.meaning.policies import differences
from stepup.policy_language.meaning.statement import Direction, Statement
from stepup.policy_language.text_difference import text_difference

_NOTHING = "apiVersion: stepup/v1\n"
_COLORS = {Direction.WEAKER: "red", Direction.DIFFERENT: "yellow", Direction.STRICTER: "green"}


class Comparison(NamedTuple):
    """`meaning` is None when this release cannot read the older document."""

    text: str
    meaning: tuple[Statement, ...] | None

    @property
    def as_document(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        meaning = None if self.meaning is None else msgspec.to_builtins(self.meaning)
        return {"diff": self.text, "meaning": meaning}

    @property
    def in_words(self) -> str:
        """Write it for people, weaker statements first."""
        if not self.text:
            return "no difference"
        if self.meaning is None:
            return (
                f"{self.text}\nwhat it means cannot be said: this release cannot read the older one"
            )
        if not self.meaning:
            return f"{self.text}\nit means the same"
        told = [
            f"  {click.style(f'{each.direction:9}', fg=_COLORS[each.direction])} {each.text}"
            for each in self.meaning
        ]
        return "\n".join([self.text, "what it means:", *told])


def compare(before: str | None, after: str, names: tuple[str, str]) -> Comparison:
    """Compare two documents, of which the second can be read; None stands for none at all."""
    old = _NOTHING if before is None else before
    try:
        policies = [document.parse(each, version=0, tests=False) for each in (old, after)]
    except PolicyInvalidError:
        meaning = None
    else:
        meaning = differences(*policies)
    return Comparison(text_difference(before or "", after, names), meaning)
