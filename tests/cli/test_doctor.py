import asyncio
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis.endpoint import Endpoint
from stepup.adapters.redis.operator import tell
from stepup.cli.main import stepup
from tests.support.engines import temporary_directory

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def findings(result) -> dict[str, dict]:
    return {finding["name"]: finding for finding in json.loads(result.stdout)}


def test_a_new_deployment_lacks_keys_and_a_policy(operate):
    result = operate("doctor", "--json")
    assert result.exit_code == 3
    found = findings(result)
    assert [name for name, each in found.items() if not each["ok"]] == ["keys", "policy"]
    assert "stepup serve" in found["keys"]["text"]
    assert "stepup policy apply" in found["policy"]["text"]


def test_finds_nothing_when_everything_stands(operate, tmp_path):
    policy, clients = tmp_path / "policy.yaml", tmp_path / "clients.yaml"
    policy.write_text("apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n")
    clients.write_text("- {client_id: shop}")
    operate("policy", "apply", str(policy))
    operate("client", "apply", str(clients))
    result = operate("doctor")
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    assert "version 1 is active" in result.output


def test_says_which_of_the_stores_does_not_answer(operate):
    found = findings(operate("doctor", "--json", STEPUP_REDIS_URL="redis://127.0.0.1:1/0"))
    assert not found["redis"]["ok"]
    assert found["postgres"]["ok"]

    away = "postgresql://stepup@127.0.0.1:1/stepup"
    found = findings(operate("doctor", "--json", STEPUP_POSTGRES_URL=away))
    assert not found["postgres"]["ok"]
    assert found["redis"]["ok"]


def test_says_what_to_run_when_the_schema_is_missing(environ):
    result = CliRunner().invoke(stepup, ["doctor", "--json"], env=environ)
    assert result.exit_code == 3
    assert "stepup db upgrade" in findings(result)["schema"]["text"]
    assert "Traceback" not in result.stderr


@pytest.fixture
def new_redis() -> Iterator[str]:
    with temporary_directory() as directory:
        server = EmbeddedRedis(directory)
        try:
            yield server.url
        finally:
            server.stop()


def test_leaves_nothing_behind_in_redis(environ, new_redis):
    """A generation that is begun before the first start would make that start a loss."""
    for command in (["doctor"], ["db", "upgrade"], ["doctor"]):
        CliRunner().invoke(stepup, command, env=environ | {"STEPUP_REDIS_URL": new_redis})
    assert asyncio.run(tell(Endpoint.parse(new_redis), "DBSIZE")) == 0
