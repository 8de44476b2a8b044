"""`stepup policy lint|test|fmt|schema`: on a file, a folder or standard input."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from stepup.cli.main import stepup
from stepup.cli.policy import source
from stepup.policy_language.json_schema import json_schema

HEAD = "apiVersion: stepup/v1\n"
PAY = (
    HEAD
    + """\
actions:
  pay:
    attributes: {amount: {type: int, required: true}}
    rules:
      - id: small
        when: action.amount < 10
        allow: true
    default: {level: phr}
    tests:
      - {name: small is free, request: {attributes: {amount: 5}}, expect: allow, rule: small}
      - {name: ten is not, request: {attributes: {amount: 10}}, expect: step_up}
"""
)
SEE = HEAD + "actions:\n  see: {default: allow}\n"
BAD = HEAD + "actions:\n  buy: {defualt: allow}\n"
WARNED = HEAD + "actions:\n  buy: {title: buy}\n"
UNTIDY = "# mine\n" + HEAD + "actions:\n    buy:   {default: allow}   # all\n"
TIDY = "# mine\n" + HEAD + "actions:\n  buy: {default: allow}  # all\n"


def policy(*arguments: object, stdin: str | bytes | None = None) -> Result:
    command = ["policy", *map(str, arguments)]
    return CliRunner().invoke(stepup, command, input=stdin, prog_name="stepup")


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


class TestLint:
    def test_a_folder_is_one_document(self, tmp_path):
        result = policy("lint", written(tmp_path, pay=PAY, see=SEE))
        assert (result.exit_code, "no findings" in result.output) == (0, True)

    def test_a_finding_names_file_line_and_column_once(self, tmp_path):
        result = policy("lint", written(tmp_path, pay=PAY, buy=BAD))
        assert result.exit_code == 3
        assert f"{tmp_path}/buy.yaml:3:9: SU010 error" in result.output
        assert result.output.count("SU010") == 1
        assert "1 error, 1 warning" in result.output

    def test_a_name_in_two_files_names_both(self, tmp_path):
        result = policy("lint", written(tmp_path, a=SEE, b=SEE))
        assert result.exit_code == 3
        assert "b.yaml:3:3" in result.output
        assert f"{tmp_path}/a.yaml, line 3" in result.output

    def test_a_warning_is_said_and_counts_only_when_asked(self, tmp_path):
        folder = written(tmp_path, buy=WARNED)
        assert policy("lint", folder).exit_code == 0
        assert "SU026 warning" in policy("lint", folder).output
        assert policy("lint", folder, "--strict").exit_code == 3
        found = json.loads(policy("lint", folder, "--strict", "--json").output)
        assert (found["valid"], found["findings"][0]["code"]) == (True, "SU026")

    def test_reads_standard_input(self):
        assert policy("lint", "-", stdin=SEE).exit_code == 0
        result = policy("lint", "-", stdin=BAD)
        assert (result.exit_code, "-:3:9: SU010" in result.output) == (3, True)
        assert policy("lint", "-", stdin=b"\xff").exit_code == 1

    def test_what_is_hidden_or_something_else_is_no_document(self, tmp_path):
        written(tmp_path, see=SEE)
        (tmp_path / ".draft.yaml").write_text(BAD)
        (tmp_path / "notes.txt").write_text(BAD)
        (tmp_path / ".git").mkdir()
        written(tmp_path / ".git", buy=BAD)
        assert policy("lint", tmp_path).exit_code == 0

    def test_a_link_out_of_the_folder_is_refused(self, tmp_path):
        secret = tmp_path / "secret.yaml"
        secret.write_text("password: hunter2\n")
        folder = tmp_path / "policies"
        folder.mkdir()
        (folder / "a.yaml").symlink_to(secret)
        result = policy("lint", folder)
        assert result.exit_code == 1
        assert "leads out of the folder" in result.output
        assert "password" not in result.output

    def test_a_name_of_a_file_moves_no_cursor(self, tmp_path):
        (tmp_path / "a\x1b[2J.yaml").write_text(BAD)
        (tmp_path / "b\x1b[2J.yaml").write_text(UNTIDY)
        for arguments in (["lint"], ["fmt", "--check"], ["test"]):
            assert "\x1b" not in policy(*arguments, tmp_path).output
        (tmp_path / "a\x1b[2J.yaml").write_bytes(b"\xff")
        assert "\x1b[2J" not in policy("lint", tmp_path).output

    def test_a_linked_folder_is_not_entered(self, tmp_path):
        (tmp_path / "policies").mkdir()
        written(tmp_path / "policies", see=SEE)
        (tmp_path / "policies" / "loop").symlink_to(tmp_path / "policies")
        assert policy("lint", tmp_path / "policies").exit_code == 0

    def test_an_empty_folder_is_an_error(self, tmp_path):
        result = policy("lint", tmp_path)
        assert (result.exit_code, "no *.yaml" in result.output) == (1, True)

    @pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 1), ("MAX_FOLDER_BYTES", 100)])
    def test_a_folder_of_too_much_is_refused(self, tmp_path, monkeypatch, limit, value):
        monkeypatch.setattr(source, limit, value)
        result = policy("lint", written(tmp_path, a=PAY, b=SEE))
        assert (result.exit_code, "more than" in result.output) == (1, True)

    def test_a_file_without_end_is_read_to_its_limit_only(self):
        result = policy("lint", "/dev/zero")
        assert (result.exit_code, "SU002" in result.output) == (3, True)


class TestTests:
    def test_says_how_each_came_out(self, tmp_path):
        result = policy("test", written(tmp_path, pay=PAY, see=SEE))
        assert result.exit_code == 0
        assert "ok        pay: small is free" in result.output
        assert "2 tests, 0 failed" in result.output

    def test_one_that_fails_exits_with_3_and_says_why(self, tmp_path):
        wrong = PAY.replace("amount: 10}", "amount: 9}")
        result = policy("test", written(tmp_path, pay=wrong))
        assert result.exit_code == 3
        assert "FAILED    pay: ten is not" in result.output
        assert "expected step_up, got allow" in result.output
        told = json.loads(policy("test", tmp_path, "--json").output)
        assert [each["passed"] for each in told["tests"]] == [True, False]
        assert told["tests"][1]["line"] == 12

    def test_a_suite_beside_the_policy_is_run(self, tmp_path):
        suite = HEAD + "tests:\n  see:\n    - {name: all see, expect: allow}\n"
        result = policy("test", written(tmp_path, see=SEE, see_test=suite))
        assert (result.exit_code, "ok        see: all see" in result.output) == (0, True)

    @pytest.mark.parametrize("pattern", ["small", "pay: small*"])
    def test_runs_what_is_asked_for(self, tmp_path, pattern):
        result = policy("test", written(tmp_path, pay=PAY), "--filter", pattern)
        assert "1 test, 0 failed" in result.output

    def test_a_document_with_errors_is_not_tested(self, tmp_path):
        result = policy("test", written(tmp_path, pay=PAY, buy=BAD))
        assert (result.exit_code, "SU010" in result.output) == (3, True)

    def test_writes_junit(self, tmp_path):
        wrong = PAY.replace("amount: 10}", "amount: 9}")
        report = tmp_path / "report.xml"
        policy("test", written(tmp_path, pay=wrong), "--junit", report)
        suite = ET.fromstring(report.read_text())  # noqa: S314  our own
        assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
        assert [case.get("name") for case in suite] == ["small is free", "ten is not"]

    def test_coverage_names_what_nothing_tests(self, tmp_path):
        folder = written(tmp_path, pay=PAY, see=SEE)
        result = policy("test", folder, "--coverage")
        assert result.exit_code == 3
        assert "untested  see: default" in result.output
        assert "pay" not in result.output.split("untested", 1)[1].split("\n")[0]
        suite = HEAD + "tests: {see: [{name: all see, expect: allow}]}\n"
        assert policy("test", written(folder, see_test=suite), "--coverage").exit_code == 0


class TestFmt:
    def test_writes_a_file_in_the_one_form(self, tmp_path):
        folder = written(tmp_path, buy=UNTIDY, see=SEE)
        result = policy("fmt", folder)
        assert result.exit_code == 0
        assert result.output == f"{tmp_path}/buy.yaml: changed\n"
        assert (tmp_path / "buy.yaml").read_text() == TIDY
        assert "nothing to change" in policy("fmt", folder).output

    def test_a_check_changes_nothing_and_exits_with_2(self, tmp_path):
        folder = written(tmp_path, buy=UNTIDY, see=SEE)
        result = policy("fmt", folder, "--check", "--json")
        assert result.exit_code == 2
        assert json.loads(result.output)["changed"] == [f"{tmp_path}/buy.yaml"]
        assert (tmp_path / "buy.yaml").read_text() == UNTIDY
        (tmp_path / "buy.yaml").write_text(TIDY)
        assert policy("fmt", folder, "--check").exit_code == 0

    def test_standard_input_goes_to_standard_output(self):
        assert policy("fmt", "-", stdin=UNTIDY).output == TIDY
        assert policy("fmt", "-", "--check", stdin=UNTIDY).exit_code == 2

    def test_what_cannot_be_read_is_left_alone(self, tmp_path):
        broken = HEAD + "a: [\n"
        result = policy("fmt", written(tmp_path, a=broken, buy=UNTIDY))
        assert result.exit_code == 3
        assert "SU001" in result.output
        assert (tmp_path / "buy.yaml").read_text() == UNTIDY


def test_schema_writes_the_schema():
    for how in ((), ("--json",)):
        result = policy("schema", *how)
        assert result.exit_code == 0
        assert json.loads(result.output) == json_schema()
