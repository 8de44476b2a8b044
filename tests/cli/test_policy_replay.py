"""`stepup policy replay`, over a database in which decisions are recorded."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from stepup import wiring
from stepup.cli.policy.replay_text import explain_replay
from stepup.cli.settings import load_settings
from stepup.domain.ids import SubjectId
from tests.domain.test_replay import ALLOWED, GUARDED, reported
from tests.support.builders import a_decision_request, a_recorded_decision

OPEN = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"
CLOSED = OPEN.replace("allow", "{level: phr}")


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(OPEN)
    return path


def record(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    request = a_decision_request(action="pay", action_properties={})

    records = [
        a_recorded_decision(
            at=datetime.now(UTC),
            id=f"{n:012x}.r",
            request=request,
            policy_version=1,
            rule=None,
            subject_id=SubjectId(f"subject-{n}"),
        )
        for n in range(count)
    ]

    async def write() -> None:
        async with (
            wiring.open_ports(load_settings(None, ())) as (ports, _),
            ports.database.transaction() as stores,
        ):
            await stores.decisions.add_all(records)

    with monkeypatch.context() as patched:
        for name, value in environ.items():
            patched.setenv(name, value)
        asyncio.run(write())


@pytest.mark.postgres
@pytest.mark.redis
class TestReplay:
    def test_ends_with_2_when_something_would_change(self, operate, document, environ, monkeypatch):
        operate("policy", "apply", str(document))
        record(environ, monkeypatch, 3)
        document.write_text(CLOSED)

        told = operate("policy", "replay", str(document))
        asked = operate("policy", "replay", str(document), "--json", "--limit", "2")

        assert told.exit_code == 2, told.output
        assert "would have prompted 100.0 % of the calls, 0.0 % are prompted now" in told.output
        assert "3 are newly prompted, 3 have no authenticator for it" in told.output
        assert asked.exit_code == 2
        report = json.loads(asked.output)
        assert (report["recorded"], report["is_complete"], report["changed"]) == (2, False, 2)

    def test_ends_with_0_when_nothing_would(self, operate, document, environ, monkeypatch):
        operate("policy", "apply", str(document))
        record(environ, monkeypatch, 1)

        same = operate("policy", "replay", str(document), "--since", "1h")
        before = operate("policy", "replay", str(document), "--until", "1h")

        assert (same.exit_code, "nothing would have been another answer" in same.output) == (
            0,
            True,
        )
        assert (before.exit_code, "no decisions were recorded" in before.output) == (0, True)

    def test_before_the_first_version_it_says_so(self, operate, document):
        result = operate("policy", "replay", str(document))
        assert (result.exit_code, "no" in result.output.lower()) == (1, True)

    def test_findings_end_it_with_3(self, operate, document):
        document.write_text(OPEN + "surprise: 1\n")
        result = operate("policy", "replay", str(document))
        assert (result.exit_code, "SU010" in result.output) == (3, True)

    def test_a_span_that_is_none_is_refused(self, operate, document):
        result = operate("policy", "replay", str(document), "--since", "last week")
        assert (result.exit_code, "write a span, like 7d" in result.output) == (2, True)


def test_the_report_names_actions_rules_people_and_examples():
    report = reported(ALLOWED, GUARDED, [a_recorded_decision(sampled_as=2) for _ in range(30)])

    text = explain_replay("policy.yaml", report)

    assert "60 of 60 decisions change" in text
    assert "payments.transfer: 60 of 60 decisions; allow -> step up 60" in text
    assert "payments.transfer: the default, allow -> step up, 60 decisions" in text
    assert "of 30 subjects 30 are newly prompted, 30 have no authenticator for it" in text
    assert "examples of who has nothing to pass with:" in text
