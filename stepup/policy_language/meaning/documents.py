"""How two texts differ: line by line, and in what they mean."""

import msgspec

from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document
from stepup.policy_language.meaning.policies import differences
from stepup.policy_language.meaning.statement import Statement
from stepup.policy_language.text_difference import text_difference

_NOTHING = "apiVersion: stepup/v1\n"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`meaning` is None when this release cannot read one of the texts."""

    text: str
    meaning: tuple[Statement, ...] | None


def compare_documents(before: str | None, after: str, names: tuple[str, str]) -> Comparison:
    """Compare two texts; None stands for no document at all."""
    old = _NOTHING if before is None else before
    try:
        policies = [document.parse(text, version=0, tests=False) for text in (old, after)]
    except PolicyInvalidError:
        meaning = None
    else:
        meaning = differences(*policies)
    return Comparison(text=text_difference(before or "", after, names), meaning=meaning)
