"""Whatever is handed over as a policy is refused or read, soon, and with an answer of some size."""

import time

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup
from stepup.policy_language import document
from stepup.policy_language.findings import MAX_FINDINGS, MAX_MESSAGE
from tests.policy_language.documents import a_document, findings
from tests.policy_language.hostile import ANYTHING, HOSTILE

# Seconds of CPU.
AT_MOST = 5.0


@pytest.fixture(autouse=True)
def held_against_the_schema():
    """Nothing but the reader is timed here."""


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused_or_read_soon(name):
    text, code = HOSTILE[name]
    started = time.process_time()
    found = document.check(text)
    assert time.process_time() - started < AT_MOST
    errors = [finding for finding in found if finding.is_error]
    if code is ANYTHING:
        assert errors == []
    else:
        assert code in {finding.code.value for finding in errors}
    assert len(found) <= MAX_FINDINGS + 1
    assert all(len(finding.message) <= MAX_MESSAGE + 3 for finding in found)
    assert all(str(finding).isprintable() for finding in found)


@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb in ("lint", "fmt", "test") for name in HOSTILE]
)
def test_does_no_harm_on_the_command_line(verb, name, tmp_path):
    text, code = HOSTILE[name]
    file = tmp_path / "policy.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    result = CliRunner().invoke(stepup, ["policy", verb, str(file)])
    assert isinstance(result.exception, SystemExit | None)
    assert result.exit_code in {0, 1, 3}
    if code is not ANYTHING and verb != "fmt":
        assert result.exit_code in {1, 3}
    assert len(result.output) < 200_000
    assert result.output.replace("\n", "").isprintable()


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"apiVersion: \xc3\x28\n")
    result = CliRunner().invoke(stepup, ["policy", "lint", str(file)])
    assert (result.exit_code, "not UTF-8" in result.output) == (1, True)


def test_an_unknown_field_is_told_the_right_one():
    assert findings(a_document("defualt: allow"))[-1].endswith("did you mean `default`?")


@pytest.mark.parametrize("text", ["شراء‎ بطاقة", "नमस्ते क्‍ष", "co­operate", "👩‍👩‍👧"])
def test_people_may_write_their_languages(text):
    assert findings(a_document(f'title: "{text}"\ndefault: allow')) == []
