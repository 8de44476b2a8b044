import json

import pytest
from click.testing import CliRunner

from stepup.cli.main import stepup
from tests.test_config import ENOUGH


@pytest.fixture
def run(monkeypatch):
    def invoke(*arguments: str, environ=ENOUGH):
        return CliRunner().invoke(stepup, arguments, env=dict(environ), prog_name="stepup")

    return invoke


def test_check_accepts_complete_settings(run):
    assert run("config", "check").output.endswith("the issuer is https://stepup.example\n")


def test_check_says_in_one_line_what_is_wrong(run):
    result = run("config", "check", environ=ENOUGH | {"STEPUP_PROT": "1"})
    assert result.exit_code == 1
    assert "STEPUP_PROT is not a setting; did you mean STEPUP_PORT?" in result.output


def test_show_names_sources_and_hides_secrets(run):
    result = run("config", "show", "--json", "--set", "port=9000")
    rows = json.loads(result.output)
    assert rows["port"] == {"value": 9000, "source": "--set port"}
    assert rows["issuer"] == {"value": "https://stepup.example", "source": "STEPUP_ISSUER"}
    assert rows["drain_delay"] == {"value": "10s", "source": "default"}
    assert rows["redis_url"]["value"] == "***"
    assert "hush" not in result.output
    assert "hush" not in run("config", "show").output


def test_explain_says_what_a_key_is_for(run):
    assert "Port to listen on." in run("config", "explain", "STEPUP_PORT").output
    assert "REDIS_URL_FILE" in run("config", "explain", "redis-url").output
    assert run("config", "explain", "prot").exit_code == 2


def test_a_set_without_a_value_is_wrong_usage(run):
    result = run("config", "check", "--set", "port")
    assert result.exit_code == 2
    assert "is not KEY=VALUE" in result.output


def test_help_and_version_need_no_settings(run):
    assert run("--help", environ={}).exit_code == 0
    assert "0." in run("--version", environ={}).output
