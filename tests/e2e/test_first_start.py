"""From nothing to a ready service: schema, keys, policy, clients, in any order that works."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.production import CREDENTIALS, QUESTION, Deployment, Serving
from tests.support.engines import fresh_database

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# One active key each, on an empty database at once: nothing was ever signed that a cache could lack.
RINGS = [
    ("id_token", "ES256"),
    ("id_token", "RS256"),
    ("introspection", "ES256"),
    ("introspection", "RS256"),
    ("root", "HKDF-SHA256"),
    ("set", "RS256"),
    ("status_list", "ES256"),
    ("token", "ES256"),
]


@pytest.fixture
def deployment(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with fresh_database(postgres_url) as url:
        yield Deployment(url, redis_url, tmp_path)


def test_two_services_start_on_an_empty_database_and_wait_for_a_policy(deployment: Deployment):
    deployment.run("db", "upgrade")
    with deployment.serving("one") as one, deployment.serving("other") as other:
        for each in (one, other):
            wait_until(lambda each=each: each.status("/livez") == 200)
            assert each.status() == 503
            assert each.log.read_text().count("run `stepup policy apply FILE`") == 1

        rows = json.loads(deployment.run("keys", "list", "--json"))
        # The next signing keys may lie ready already.
        active = [(row["use"], row["algorithm"]) for row in rows if row["state"] == "active"]
        assert sorted(active) == RINGS

        deployment.apply()
        for each in (one, other):
            wait_until(lambda each=each: each.status() == 200, seconds=2.5)
            assert decision(each).json()["decision"] is True
        # Of each ring the key that signs and the next one.
        published = 2 * (len(RINGS) - 1)
        wait_until(lambda: jwks(one) == jwks(other) and len(jwks(one)["keys"]) == published)
        signing = {row["kid"] for row in rows if row["use"] != "root"}
        assert signing <= {key["kid"] for key in jwks(one)["keys"]}


def test_keys_that_another_key_sealed_stop_the_start_in_one_line(deployment: Deployment):
    deployment.run("db", "upgrade")
    deployment.apply()
    deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = "2:" + "A" * 43 + "="
    refused = deployment.refused_start()
    assert refused.returncode == 1
    assert "STEPUP_KEY_ENCRYPTION_KEYS" in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr


def decision(service: Serving) -> httpx2.Response:
    url = f"{service.origin}/access/v1/evaluation"
    return httpx2.post(url, json=QUESTION, auth=CREDENTIALS, trust_env=False)


def jwks(service: Serving) -> dict:
    return httpx2.get(f"{service.origin}/.well-known/jwks.json", trust_env=False).json()


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
