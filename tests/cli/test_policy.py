import json

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup

GOOD = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"
BAD = "apiVersion: stepup/v1\nactions:\n  pay: {defualt: allow}\n"


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def lint(*arguments: str):
    return CliRunner().invoke(stepup, ["policy", "lint", *arguments], prog_name="stepup")


def test_lint_is_silent_about_a_good_document(document):
    assert lint(str(document)).exit_code == 0
    assert json.loads(lint(str(document), "--json").output)["valid"] is True


def test_lint_says_line_and_column_of_each_finding_and_exits_with_3(document):
    document.write_text(BAD)
    result = lint(str(document))
    assert result.exit_code == 3
    assert "3:9: SU010 error" in result.output
    assert "did you mean `default`?" in result.output

    assert result.output.count("SU010") == 1

    found = json.loads(lint(str(document), "--json").output)
    assert found["valid"] is False
    assert {(each["line"], each["code"]) for each in found["findings"]} >= {(3, "SU010")}


def test_a_file_that_is_no_text_is_one_line(document):
    document.write_bytes(b"\xff\xfe")
    result = lint(str(document))
    assert result.exit_code == 1
    assert "not UTF-8" in result.output


@pytest.mark.postgres
@pytest.mark.redis
class TestApply:
    def test_activates_what_is_new_and_leaves_what_is_not(self, operate, document):
        first = operate("policy", "apply", str(document))
        assert (first.exit_code, "version 1 is now active" in first.output) == (0, True)
        again = operate("policy", "apply", str(document))
        assert (again.exit_code, "version 1 is active already" in again.output) == (0, True)

        document.write_text(GOOD + "  sell: {default: allow}\n")
        alone = {"STEPUP_POLICY_APPROVALS": "0"}
        done = operate("policy", "apply", str(document), "--json", "--yes", **alone)
        changed = json.loads(done.output)
        assert (changed["version"], changed["changed"]) == (2, True)

    def test_a_dry_run_says_what_would_happen_and_changes_nothing(self, operate, document):
        arguments = ("policy", "apply", str(document), "--dry-run")
        for _ in range(2):
            assert "version 1 would become active" in operate(*arguments).output
        operate("policy", "apply", str(document))
        assert "version 1 is active already" in operate(*arguments).output

    def test_findings_change_nothing_and_exit_with_3(self, operate, document):
        operate("policy", "apply", str(document))
        document.write_text(BAD)
        refused = operate("policy", "apply", str(document), "--json")
        assert refused.exit_code == 3
        assert json.loads(refused.output)["findings"][0]["line"] == 3
        document.write_text(GOOD)
        assert "version 1 is active already" in operate("policy", "apply", str(document)).output

    def test_a_database_that_is_away_is_one_line(self, operate, document):
        away = "postgresql://stepup@127.0.0.1:1/stepup"
        result = operate("policy", "apply", str(document), STEPUP_POSTGRES_URL=away)
        assert result.exit_code == 1
        assert "Traceback" not in result.output
