"""`docs/policy-tutorial.md` is true: whoever follows it sees what it says."""

from pathlib import Path

from click.testing import CliRunner

from stepup.cli.main import stepup
from tests.policy_language.tutorial import Command, Written, steps

# What needs no service.
OFFLINE = {"lint", "test", "fmt", "schema"}


def test_whoever_follows_it_sees_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    followed = 0
    for step in steps():
        match step:
            case Written(name, text):
                path = Path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            case Command(["stepup", "policy", verb, *_], code, answer) if verb in OFFLINE:
                result = CliRunner().invoke(stepup, step.arguments[1:], prog_name="stepup")
                assert step.is_answered(result.output), (step.arguments, result.output, answer)
                assert result.exit_code == code, step.arguments
                followed += 1
    assert followed > 5
