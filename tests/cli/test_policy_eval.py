"""`stepup policy eval`: what an administrator reads, and what he may type."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepup.cli.main import stepup

EXPLAINED = Path(__file__).parents[1] / "fixtures" / "explained"
POLICY = EXPLAINED / "policy.yaml"
NOON = "2026-11-21T12:00:00Z"
ALLOWS = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"


def evaluate(*arguments: str, action: str = "payments.transfer", file: Path = POLICY) -> Result:
    command = ["policy", "eval", action, "--subject", "alice", "--file", str(file), "--at", NOON]
    return CliRunner().invoke(
        stepup, [*command, *arguments], prog_name="stepup", env={"COLUMNS": "300"}
    )


def told(*arguments: str, **options) -> dict:
    result = evaluate(*arguments, "--json", **options)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_machine_asks_too(tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    rule = "{id: machines, when: 'subject.type == \"service\"', allow: true}"
    policy.write_text(
        f"apiVersion: stepup/v1\nactions:\n  pay: {{rules: [{rule}], default: deny}}\n"
    )

    asked = told("--subject-type", "service", action="pay", file=policy)

    assert (asked["decision"], asked["rule"]) == ("allow", "machines")
    assert told(action="pay", file=policy)["decision"] == "deny"


PAYMENT = ("--attr", "amount=1500.00", "--attr", "payee=Carol")

GOLDEN = {
    "step-up": (*PAYMENT, "--attr", "iban=DE02120300000000202051"),
    "too-old": (
        *("--attr", "amount=500.00", "--attr", "payee=Carol"),
        *("--auth-acr", "phr", "--auth-age", "1h", "--auth-for-this"),
    ),
    "error": ("--attr", "amount=lots", "--attr", "payee=Carol"),
    "broken-condition": ("--action", "records.read"),
    "fallback": ("--action", "records.read", "--attr", "size=10", "--auth-acr", "phr"),
    "degraded": ("--action", "records.read", "--attr", "size=500", "--degraded"),
    "report-mode": ("--action", "records.share"),
    "allowed": ("--attr", "amount=5.00", "--attr", "payee=Carol", "--attr", "payee_known=true"),
}


def golden(name: str) -> Result:
    first, *others = GOLDEN[name]
    if first == "--action":
        action, *options = others
        return evaluate(*options, action=action)
    return evaluate(first, *others)


@pytest.mark.parametrize("name", GOLDEN)
def test_reads_like_a_report(name: str):
    """What is to be read is in `tests/fixtures/explained`; look at it when it changes."""
    result = golden(name)
    assert result.exit_code == 0
    expected = (EXPLAINED / f"{name}.txt").read_text(encoding="utf-8")
    assert result.output.replace(str(POLICY), "policy.yaml") == expected


def test_as_json_it_is_what_the_interface_answers():
    answer = told(*PAYMENT)
    assert (answer["decision"], answer["rule"]) == ("step_up", "large")
    assert answer["demand"]["required"]["level"] == "phr"
    assert answer["authenticators"] is None


@pytest.mark.parametrize(
    ("kind", "texts", "value"),
    [
        ("decimal", ["1500.00"], 150000),
        ("int", ["-7"], -7),
        ("double", ["1.5"], 1.5),
        ("bool", ["True"], True),
        ("string", ["a=b"], "a=b"),
        ("ip", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("timestamp", ["2026-01-31T12:00:00Z"], "2026-01-31T12:00:00+00:00"),
        ("duration", ["90s"], "1m30s"),
        ("list", ["one", "two"], ["one", "two"]),
        ("list", ["one"], ["one"]),
    ],
)
def test_attributes_are_typed_by_their_declaration(
    tmp_path: Path, kind: str, texts: list[str], value: object
):
    file = tmp_path / "policy.yaml"
    file.write_text(ALLOWS.replace("{default", f"{{attributes: {{it: {{type: {kind}}}}}, default"))
    options = [option for text in texts for option in ("--attr", f"it={text}")]
    (attribute,) = (
        a for a in told(*options, action="pay", file=file)["attributes"] if a["name"] == "action.it"
    )
    assert (attribute["value"], attribute["error"]) == (value, None)


def test_an_attribute_may_be_named_with_its_entity():
    answer = told(*PAYMENT, "--attr", "context.ip=192.0.2.9")
    assert answer["rule"] == "at-home"


def test_what_is_no_value_of_the_type_is_tried_out_as_it_is():
    answer = told("--attr", "amount=1e9", "--attr", "payee=Carol")
    assert (answer["decision"], answer["reason"]) == ("deny", "invalid_attribute")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--attr", "amunt=1"), "declares no attribute `amunt`; did you mean `amount`?", 1),
        (("--attr", "amount"), "is not NAME=VALUE", 1),
        ((*PAYMENT, "--attr", "amount=2"), "comes once", 1),
        (("--auth-age", "1h"), "needs --auth-acr", 2),
        (("--auth-acr", "phr", "--auth-age", "soon"), "90s or 15m", 2),
        (("--version", "1"), "choose one of", 2),
    ],
)
def test_what_was_mistyped_is_one_line(arguments: tuple[str, ...], said: str, code: int):
    result = evaluate(*arguments)
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output


def test_an_action_that_is_not_there_may_be_another_one():
    result = evaluate(action="payment.transfer")
    assert result.exit_code == 0
    assert "did you mean `payments.transfer`?" in result.output


def test_a_folder_is_one_document(tmp_path: Path):
    (tmp_path / "pay.yaml").write_text(ALLOWS)
    (tmp_path / "sell.yaml").write_text(ALLOWS.replace("pay", "sell"))
    for action in ("pay", "sell"):
        assert told(action=action, file=tmp_path)["decision"] == "allow"


def test_a_document_with_findings_exits_with_3(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_text(ALLOWS.replace("default", "defualt"))
    result = evaluate(action="pay", file=file)
    assert result.exit_code == 3
    assert "did you mean `default`?" in result.output


def test_a_test_that_fails_is_no_reason_not_to_ask_why(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_text(ALLOWS.replace("{default", "{tests: [{name: wrong, expect: deny}], default"))
    assert evaluate(action="pay", file=file).exit_code == 0


def test_nobody_s_name_or_value_moves_the_cursor():
    result = evaluate(*PAYMENT, "--attr", "payee_known=\x1b[2J")
    assert "\x1b" not in result.output
    assert "\\u{1b}[2J" in result.output


@pytest.mark.postgres
@pytest.mark.redis
class TestService:
    def test_explains_the_active_version_and_older_ones(self, operate, tmp_path: Path):
        file = tmp_path / "policy.yaml"
        for text in (ALLOWS, ALLOWS.replace("allow", "deny")):
            file.write_text(text)
            applied = operate("policy", "apply", str(file), "--yes", STEPUP_POLICY_APPROVALS="0")
            assert applied.exit_code == 0, applied.output
        command = ("policy", "eval", "pay", "--subject", "alice")
        now = operate(*command)
        assert (now.exit_code, "DENY" in now.output, "version 2 (active)" in now.output) == (
            0,
            True,
            True,
        )
        before = json.loads(operate(*command, "--version", "1", "--json").output)
        assert (before["decision"], before["policy_version"]) == ("allow", 1)
        assert before["authenticators"] == []
        missing = operate(*command, "--version", "7")
        assert (missing.exit_code, "no such version" in missing.output) == (1, True)

    def test_a_database_that_is_away_is_one_line(self, operate):
        away = "postgresql://stepup@127.0.0.1:1/stepup"
        result = operate("policy", "eval", "pay", "--subject", "alice", STEPUP_POSTGRES_URL=away)
        assert result.exit_code == 1
        assert "Traceback" not in result.output
