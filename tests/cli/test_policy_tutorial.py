"""`docs/policy-tutorial.md` is true: whoever follows it sees what it says."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepup import wiring
from stepup.cli.main import stepup
from stepup.cli.settings import load_settings
from stepup.domain.ids import SubjectId
from tests.policy_language.tutorial import Command, Written, steps
from tests.support.builders import a_decision_request, a_recorded_decision

# What needs no service; an `eval` of a file is among it.
OFFLINE = {"lint", "test", "fmt", "schema", "eval"}


def write(step: Written) -> None:
    path = Path(step.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(step.text)


def follow(step: Command, environ: dict[str, str] | None = None) -> None:
    result = CliRunner().invoke(
        stepup, step.arguments[1:], env={"COLUMNS": "300", **(environ or {})}, prog_name="stepup"
    )
    assert step.is_answered(result.output), f"{step.arguments}\n{result.output}"
    assert result.exit_code == step.code, step.arguments


def test_whoever_follows_it_without_a_service_sees_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    followed = 0
    for step in steps():
        if isinstance(step, Written):
            write(step)
        elif step.arguments[2] in OFFLINE:
            follow(step)
            followed += 1
    assert followed > 8


def record_a_week() -> None:
    """What the service recorded while the first version was active."""
    amounts = ["50.00"] * 70 + ["150.00"] * 20 + ["250.00"] * 10
    records = [
        a_recorded_decision(
            at=datetime.now(UTC),
            id=f"{number:012x}.r",
            request=a_decision_request(
                action="payments.transfer",
                action_properties={"amount": amount, "payee": "Carol"},
            ),
            policy_version=1,
            subject_id=SubjectId(f"subject-{number % 40}"),
        )
        for number, amount in enumerate(amounts)
    ]

    async def add() -> None:
        async with (
            wiring.open_ports(load_settings(None, ())) as (ports, _),
            ports.database.transaction() as stores,
        ):
            await stores.decisions.add_all(records)

    asyncio.run(add())


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.usefixtures("operate")
def test_whoever_follows_it_into_service_sees_what_it_says(environ, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for step in steps():
        if isinstance(step, Written):
            write(step)
        elif step.arguments[2] not in OFFLINE:
            if step.arguments[2] == "replay":
                record_a_week()
            follow(step, environ)
