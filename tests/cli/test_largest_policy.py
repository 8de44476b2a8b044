"""The largest document that is accepted: some thousand conditions to compile, in seconds."""

import time

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup
from stepup.policy_language import document
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
