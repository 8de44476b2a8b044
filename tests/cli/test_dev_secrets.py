import base64

import click
import pytest

from stepup.cli.dev import _refuse_guessable
from stepup.cli.dev_secrets import DevelopmentSecrets


def test_a_data_directory_keeps_its_secrets_from_start_to_start(tmp_path):
    first = DevelopmentSecrets.kept_in(tmp_path)
    again = DevelopmentSecrets.kept_in(tmp_path)
    assert first.admin_token == again.admin_token
    assert first.client_secret("bank") == again.client_secret("bank")
    assert (tmp_path / "seed").stat().st_mode & 0o777 == 0o600


def test_two_directories_and_two_purposes_share_nothing(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    secrets = [DevelopmentSecrets.kept_in(one), DevelopmentSecrets.kept_in(other)]
    texts = {text for each in secrets for text in (each.admin_token, each.client_secret("bank"))}
    assert len(texts) == 4


def test_services_on_one_database_open_each_others_keys_whatever_host_they_name():
    direct = DevelopmentSecrets.shared_by("postgresql://stepup:pw@db1/stepup")
    pooled = DevelopmentSecrets.shared_by("postgresql+psycopg://stepup:pw@db2:6432/stepup")
    assert direct.key_encryption_keys == pooled.key_encryption_keys
    assert len(base64.b64decode(direct.key_encryption_keys.removeprefix("1:"))) == 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "dev.example", ""])  # noqa: S104
def test_attack_an_admin_token_that_everybody_can_compute_is_served_to_everybody(host):
    secrets = DevelopmentSecrets.shared_by("postgresql:///stepup")

    with pytest.raises(click.ClickException, match="has no password"):
        _refuse_guessable(secrets, host)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("postgresql:///stepup", "127.0.0.1"),
        ("postgresql:///stepup", "localhost"),
        ("postgresql:///stepup", "::1"),
        ("postgresql://stepup:pw@db/stepup", "0.0.0.0"),  # noqa: S104
    ],
)
def test_secrets_are_served_as_far_as_they_are_secret(url, host):
    _refuse_guessable(DevelopmentSecrets.shared_by(url), host)
