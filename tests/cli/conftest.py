"""An operator at a terminal, with engines of their own."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.main import stepup
from tests.support.engines import fresh_database

Run = Callable[..., Result]
SECRETS = DevelopmentSecrets.shared_by("postgresql://stepup:pw@db/stepup")


@pytest.fixture
def environ(postgres_url: str, redis_url: str) -> Iterator[dict[str, str]]:
    """The settings of a production service on an empty database."""
    with fresh_database(postgres_url) as url:
        yield {
            "COLUMNS": "300",  # one line is one line
            "STEPUP_ISSUER": "https://stepup.example",
            "STEPUP_POSTGRES_URL": url,
            "STEPUP_REDIS_URL": redis_url,
            "STEPUP_KEY_ENCRYPTION_KEYS": SECRETS.key_encryption_keys,
            "STEPUP_UPSTREAMS": '[{"issuer": "https://id.example", "audience": "stepup"}]',
        }


@pytest.fixture
def operate(environ: dict[str, str]) -> Run:
    """Run a command on a database with the schema of this release."""

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(stepup, arguments, env=environ | more, prog_name="stepup")

    upgraded = run("db", "upgrade")
    assert upgraded.exit_code == 0, upgraded.output
    return run
