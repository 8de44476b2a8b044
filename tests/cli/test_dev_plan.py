"""What `stepup dev` fills in below what was given."""

import pytest

from stepup.cli.dev_plan import Engine, Listening, plan_settings
from stepup.cli.dev_ready import write_settings_file
from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.config_reading import load

ENGINE = Engine("postgresql:///stepup", "unix:///run/redis.sock")
SECRETS = DevelopmentSecrets.shared_by("postgresql://stepup:pw@db/stepup")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    monkeypatch.setattr("os.environ", {})


def planned(**sets: str):
    return plan_settings(ENGINE, SECRETS, None, Listening("127.0.0.1", 8000, None), sets)


def test_a_bare_subject_is_one_of_the_given_upstreams():
    given = '[{"issuer": "https://id.example", "audience": "bank"}]'
    assert planned(upstreams=given).subject_issuer == "https://id.example"


def test_without_upstreams_a_bare_subject_is_one_of_the_demo_s_people():
    assert planned().subject_issuer == "http://127.0.0.1:8001"


def test_commands_of_an_operator_find_the_service_by_the_file_that_it_writes(tmp_path):
    settings, path = planned(policy_approvals="2"), tmp_path / "settings.toml"

    write_settings_file(path, settings)

    found = load({"STEPUP_CONFIG": str(path)})
    assert found.issuer == settings.issuer
    assert found.postgres_url.reveal() == settings.postgres_url.reveal()
    assert found.key_encryption_keys.reveal() == settings.key_encryption_keys.reveal()
    assert (found.subject_issuer, found.approvals_needed) == (settings.subject_issuer, 2)
    assert path.stat().st_mode & 0o777 == 0o600
