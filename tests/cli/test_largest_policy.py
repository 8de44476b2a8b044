"""Documents as large as they may be, and larger: read in seconds.

They stand here because the unit floors are to be quick.
"""

import time

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup
from stepup.policy_language import document
from tests.policy_language.documents import a_document, codes
from tests.policy_language.hostile import MEBIBYTE, of_one_mebibyte

# Seconds of CPU.
AT_MOST = 20.0


@pytest.fixture(scope="module")
def largest() -> str:
    text = of_one_mebibyte()
    assert len(text.encode()) == MEBIBYTE
    return text


def test_one_mebibyte_of_rules_is_read_soon(largest):
    started = time.process_time()
    assert document.check(largest) == []
    assert time.process_time() - started < AT_MOST


def test_one_mebibyte_of_rules_is_formatted_soon(largest, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(largest)
    started = time.process_time()
    assert CliRunner().invoke(stepup, ["policy", "fmt", str(file)]).exit_code == 0
    assert time.process_time() - started < AT_MOST


class TestCrowdedDocuments:
    """As large as a document may be, and wrong or odd all over."""

    @pytest.fixture(autouse=True)
    def _quick(self):
        started = time.process_time()
        yield
        assert time.process_time() - started < 10

    def test_unknown_fields_by_the_thousand(self):
        fields = "".join(f"  aktion{i}: 1\n" for i in range(40_000))

        found = codes("apiVersion: stepup/v1\n" + fields.replace("  ", ""))

        assert found == ["SU010"] * 200

    def test_a_warning_too_many_does_not_hide_the_error(self):
        noise = "".join(f"  a{i}: no\n" for i in range(300))
        text = "metadata:\n" + noise + "apiVersion: stepup/v2\n"

        assert sorted(set(codes(text))) == ["SU005", "SU012"]

    @pytest.mark.parametrize(
        ("name", "entry", "count"),
        [
            ("rules", "{id: r%d, allow: true}", 201),
            ("rules", "{id: r%d, allow: true}", 30_000),
            ("tests", "{name: t%d, expect: allow}", 501),
        ],
    )
    def test_more_entries_than_an_action_may_have(self, name, entry, count):
        entries = ", ".join(entry % i for i in range(count))

        assert "SU002" in codes(a_document(f"default: allow\n{name}: [{entries}]"))

    @pytest.mark.parametrize(
        ("name", "entry", "count"),
        [
            ("actions", "a%d: {default: allow}", 5_001),
            ("levels", "a%d: {any_of: [totp], max_age: 5m}", 17),
            ("guardrails", "g%d: {match: {tags: a}, require: {level: phr}}", 201),
        ],
    )
    def test_more_entries_than_a_document_may_have(self, name, entry, count):
        entries = "".join(f"  {entry % i}\n" for i in range(count))

        assert codes(f"apiVersion: stepup/v1\n{name}:\n{entries}")[0] == "SU002"

    def test_a_thousand_actions_below_two_hundred_guardrails(self):
        actions = "".join(f"  a{i}: {{tags: [t], default: allow}}\n" for i in range(1000))
        guardrails = "".join(
            f"  g{i}: {{match: {{actions: ['a*', 'b*']}}, require: {{level: phr}}}}\n"
            for i in range(200)
        )
        text = f"apiVersion: stepup/v1\nactions:\n{actions}guardrails:\n{guardrails}"

        assert codes(text) == []
