"""`docs/policy.md` is true: its examples work, and with its reference it leaves nothing out."""

import re
from pathlib import Path

import pytest

from stepup.domain.assurance import DEFAULT_LADDER, Method
from stepup.domain.decision_request import AttributeType
from stepup.policy_language.findings import Code
from stepup.policy_language.requirements import NOT_SUPPORTED_YET, PRESETS
from stepup.policy_language.spans import format_span
from tests.policy_language.documents import findings

DOCS = Path(__file__).parents[2] / "docs"
EXPLANATION = (DOCS / "policy.md").read_text("utf-8")
REFERENCE = EXPLANATION + (DOCS / "policy-reference.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", EXPLANATION, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_a_document_without_findings(number):
    assert findings(EXAMPLES[number]) == []


@pytest.mark.parametrize(
    "word",
    [
        *(f"| {code.value} |" for code in Code),
        *(f"| `{kind.value}` |" for kind in AttributeType),
        *(f"`{method.value}`" for method in Method),
        *(f"`{name}`" for name in NOT_SUPPORTED_YET),
        *(f"`{preset.value}` (" for preset in PRESETS),
        *(f"| `{level.acr}` |" for level in DEFAULT_LADDER.levels),
    ],
)
def test_names_everything(word):
    assert word in REFERENCE


def test_gives_the_ages_of_the_default_ladder():
    for level in DEFAULT_LADDER.levels:
        (row,) = re.findall(rf"\| `{re.escape(level.acr)}` \|.*", REFERENCE)
        assert row.endswith(f"| {format_span(level.max_age)} |")
