"""`stepup policy plan|apply|pull|diff|rollback` on the host, as a pipeline would run them."""

import json

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup
from tests.cli.conftest import Run

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

FIRST = "apiVersion: stepup/v1\nactions:\n  pay: {default: {level: phr, max_age: 5m}}\n"
SECOND = FIRST.replace("level: phr", "level: urn:stepup:acr:2")
BAD = FIRST.replace("default", "defualt")
ALONE = {"STEPUP_POLICY_APPROVALS": "0"}


@pytest.fixture
def policy(operate: Run, tmp_path):
    """Run a verb of `stepup policy` on a document with this text."""
    path = tmp_path / "policy.yaml"

    def run(verb: str, text: str | None = None, *arguments: str, **more: str):
        if text is not None:
            path.write_text(text)
            arguments = (str(path), *arguments)
        return operate("policy", verb, *arguments, **ALONE | more)

    return run


def test_a_plan_says_what_an_apply_does_and_changes_nothing(policy):
    new = policy("plan", FIRST)
    assert (new.exit_code, "+  pay:" in new.output) == (2, True)
    assert "different pay: new action: otherwise phr, at most 5m old" in new.output
    assert policy("apply", FIRST).exit_code == 0
    assert policy("plan", FIRST).exit_code == 0

    weaker = policy("plan", SECOND)
    assert weaker.exit_code == 2
    assert "weaker    pay: now level 2 instead of phr" in weaker.output
    assert policy("plan", FIRST).exit_code == 0


def test_a_plan_as_json(policy):
    policy("apply", FIRST)
    found = json.loads(policy("plan", SECOND, "--json").output)
    assert (found["valid"], found["changed"], found["active"]) == (True, True, 1)
    assert found["made_elsewhere"] is False
    assert [(each["direction"], each["part"]) for each in found["meaning"]] == [("weaker", "acr")]
    assert "-  pay:" in found["diff"]


def test_comments_change_the_text_and_not_the_meaning(policy):
    policy("apply", FIRST)
    planned = policy("plan", f"# for payments\n{FIRST}")
    assert (planned.exit_code, "it means the same" in planned.output) == (2, True)


def test_findings_end_every_verb_with_3(policy):
    for verb in ("plan", "apply"):
        refused = policy(verb, BAD, "--json")
        assert (refused.exit_code, json.loads(refused.output)["valid"]) == (3, False)


def test_without_a_terminal_an_apply_wants_to_be_told(policy):
    assert policy("apply", FIRST).exit_code == 0
    silent = policy("apply", SECOND)
    assert (silent.exit_code, "--yes" in silent.output) == (1, True)
    assert policy("plan", FIRST).exit_code == 0

    applied = policy("apply", SECOND, "--yes", "--json")
    assert (applied.exit_code, json.loads(applied.output)["version"]) == (0, 2)
    assert "active already" in policy("apply", SECOND).output


def test_where_others_must_approve_an_apply_makes_a_draft(policy):
    policy("apply", FIRST)
    made = policy("apply", SECOND, "--yes", "--json", STEPUP_POLICY_APPROVALS="2")
    told = json.loads(made.output)
    assert (made.exit_code, told["version"], told["missing"]) == (2, 1, "2 of 2 approvals missing")
    assert told["draft"] == 1
    again = policy("apply", SECOND, "--yes", STEPUP_POLICY_APPROVALS="2")
    assert "waits: 2 of 2 approvals missing; version 1 stays active" in again.output
    assert policy("plan", FIRST).exit_code == 0


def test_in_an_emergency_the_host_needs_no_approval(policy):
    policy("apply", FIRST)
    more = ("--yes", "--force", "the bank is on fire")
    forced = policy("apply", SECOND, *more, STEPUP_POLICY_APPROVALS="2")
    assert (forced.exit_code, "version 2 is now active" in forced.output) == (0, True)


def test_a_rollback_is_a_new_version_and_the_next_plan_says_so(policy):
    policy("apply", FIRST)
    policy("apply", SECOND, "--yes")
    dry = policy("rollback", None, "1", "--reason", "too weak", "--dry-run")
    assert (dry.exit_code, "stricter  pay: now phr instead of level 2" in dry.output) == (0, True)
    assert policy("rollback", None, "1", "--reason", "too weak").exit_code == 1

    back = policy("rollback", None, "1", "--reason", "too weak", "--yes", "--json")
    assert (back.exit_code, json.loads(back.output)["version"]) == (0, 3)

    planned = policy("plan", SECOND)
    assert "version 3 was not made by `apply`" in planned.output
    assert "a rollback to version 1" in planned.output
    assert policy("plan", FIRST).exit_code == 0


def test_a_rollback_to_what_is_not_there_is_one_line(policy):
    policy("apply", FIRST)
    lost = policy("rollback", None, "7", "--reason", "x", "--yes")
    assert (lost.exit_code, "There is no such version." in lost.output) == (1, True)


def test_there_is_no_going_back_to_the_active_version(policy):
    policy("apply", FIRST)
    for how in ("--yes", "--dry-run"):
        here = policy("rollback", None, "1", "--reason", "x", how)
        assert (here.exit_code, "active already" in here.output) == (1, True)


def test_pull_gives_back_what_was_applied(policy, tmp_path):
    assert policy("pull").exit_code == 1
    text = f"# kept\n{FIRST}"
    policy("apply", text)
    assert policy("pull").output == text

    folder = tmp_path / "kept"
    folder.mkdir()
    for _ in range(2):
        assert policy("pull", None, "--to", str(folder)).exit_code == 0
    assert (folder / "policy.yaml").read_text() == text
    assert policy("plan", None, str(folder)).exit_code == 0

    (folder / "policy.yaml").write_text("mine")
    kept = policy("pull", None, "--to", str(folder))
    assert (kept.exit_code, (folder / "policy.yaml").read_text()) == (1, "mine")
    assert policy("pull", None, "--to", str(folder), "--force").exit_code == 0
    (folder / "more.yaml").write_text(FIRST)
    assert policy("pull", None, "--to", str(folder)).exit_code == 1


def test_diff_compares_files_and_versions(policy, tmp_path):
    policy("apply", FIRST)
    policy("apply", SECOND, "--yes")
    other = tmp_path / "other.yaml"
    other.write_text(FIRST)

    assert policy("diff", None, "@2", "@active").exit_code == 0
    assert policy("diff", None, "@1", str(other)).exit_code == 0
    differ = policy("diff", None, "@active", str(other))
    assert (differ.exit_code, "stricter  pay: now phr" in differ.output) == (2, True)
    found = json.loads(policy("diff", None, "@1", "@2", "--json").output)
    assert (found["before"], found["after"], found["changed"]) == ("version 1", "version 2", True)
    for wrong in ("@7", "@x", "nowhere.yaml"):
        assert policy("diff", None, "@active", wrong).exit_code in {1, 2}
    other.write_text(BAD)
    assert policy("diff", None, "@1", str(other)).exit_code == 3


def test_diff_of_files_needs_no_service(tmp_path):
    for name, text in (("a", FIRST), ("b", SECOND)):
        (tmp_path / name).write_text(text)
    arguments = ["policy", "diff", str(tmp_path / "a"), str(tmp_path / "b")]
    assert CliRunner().invoke(stepup, arguments).exit_code == 2
