"""The example policies are right, in form, and tested as far as they go."""

from pathlib import Path

import pytest

from stepup.policy_language import document
from stepup.policy_language.coverage import uncovered
from stepup.policy_language.formatting import format_document
from tests.policy_language.conftest import complaints

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "policies"
POLICIES = sorted(FOLDER.glob("*.yaml"))


def test_there_are_ten():
    assert len(POLICIES) >= 10


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
class TestExample:
    def test_has_no_findings_and_no_warnings(self, path):
        assert document.check(path.read_text("utf-8")) == []
        assert complaints(path.read_text("utf-8")) == []

    def test_each_rule_and_default_decides_one_of_at_least_five_tests(self, path):
        reading = document.read_files({path.name: path.read_text("utf-8")})
        assert reading.tested is not None
        assert len(reading.outcomes) >= 5
        assert uncovered(reading.tested, reading.outcomes) == []

    def test_each_guardrail_raises_something_in_its_tests(self, path):
        reading = document.read_files({path.name: path.read_text("utf-8")})
        assert reading.policy is not None
        own = {each.id for each in reading.policy.guardrails if not each.id.startswith("stepup.")}
        hit = {name for each in reading.outcomes for name in each.decision.basis.guardrails}
        assert own - hit == set()

    def test_is_in_form(self, path):
        assert format_document(path.read_text("utf-8")) == path.read_text("utf-8")

    def test_is_told_about_in_the_table(self, path):
        assert f"[{path.stem}]({path.name})" in (FOLDER / "README.md").read_text("utf-8")


def test_all_of_them_are_one_policy_when_they_stand_in_one_folder():
    """But for the ladder of one of them, which would be everybody's."""
    files = {path.name: path.read_text("utf-8") for path in POLICIES if path.stem != "cloud-keys"}
    # What a document says of itself can be said once.
    files = {
        name: "\n".join(line for line in text.split("\n") if not line.startswith("metadata"))
        for name, text in files.items()
    }
    reading = document.read_files(files)
    assert [finding for finding in reading.findings.all() if finding.is_error] == []
