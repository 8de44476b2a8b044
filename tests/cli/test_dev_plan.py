"""What `stepup dev` fills in below what was given."""

import pytest

from stepup.cli.dev_plan import Engine, Listening, plan_settings
from stepup.cli.dev_secrets import DevelopmentSecrets

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
