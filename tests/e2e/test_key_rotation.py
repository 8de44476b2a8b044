"""Keys change while services run: no restart, no request lost."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.e2e.production import CREDENTIALS, QUESTION, Deployment, Serving
from tests.support.engines import fresh_database

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# Configuration reaches every instance within two seconds; the machine may be busy.
SOON = 5.0


@pytest.fixture
def deployment(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with fresh_database(postgres_url) as url:
        deployment = Deployment(url, redis_url, tmp_path)
        deployment.run("db", "upgrade")
        deployment.apply()
        yield deployment


def test_rotating_and_revoking_reach_every_instance_without_a_restart(deployment: Deployment):
    with ExitStack() as stack:
        services = [stack.enter_context(deployment.serving(name)) for name in ("one", "other")]
        for each in services:
            wait_until(lambda each=each: each.status() == 200)
        # The next key is there by itself.
        wait_until(lambda: list(states(deployment).values()).count("announced") == 1)
        [first] = [kid for kid, state in states(deployment).items() if state == "active"]

        promoted = json.loads(deployment.run("keys", "rotate", "--emergency", "--json"))
        assert states(deployment)[first] == "retiring"
        deployment.run("keys", "revoke", first, "--yes")
        for each in services:
            wait_until(lambda each=each: first not in kids(each), SOON)
            assert promoted["kid"] in kids(each)
            assert decision(each).status_code == 200
        assert "# TYPE stepup_signing_key_state gauge" in metrics(services[0])


def test_a_key_encryption_key_is_changed_by_rolling_restarts(deployment: Deployment):
    one = deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"]
    two = f"2:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with ExitStack() as stack:
        # Everybody has both, and 1 seals.
        deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = f"{one},{two}"
        deployment.environ["STEPUP_KEY_ENCRYPTION_ACTIVE"] = "1"
        before = stack.enter_context(deployment.serving("before"))
        wait_until(lambda: before.status() == 200)
        # The next ones seal with 2, beside one that still does with 1.
        deployment.environ["STEPUP_KEY_ENCRYPTION_ACTIVE"] = "2"
        after = stack.enter_context(deployment.serving("after"))
        wait_until(lambda: after.status() == 200)
        for _ in range(2):
            kid = json.loads(deployment.run("keys", "rotate", "--emergency", "--json"))["kid"]
        for each in (before, after):
            wait_until(lambda each=each: kid in kids(each), SOON)

        deployment.run("keys", "rewrap")
        assert decision(before).status_code == decision(after).status_code == 200
    deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = two
    with deployment.serving("alone") as alone:
        wait_until(lambda: alone.status() == 200)
        assert kid in kids(alone)


def states(deployment: Deployment) -> dict[str, str]:
    rows = json.loads(deployment.run("keys", "list", "--json"))
    return {row["kid"]: row["state"] for row in rows if row["use"] == "token"}


def kids(service: Serving) -> set[str]:
    answer = httpx2.get(f"{service.origin}/.well-known/jwks.json", trust_env=False)
    return {key["kid"] for key in answer.json()["keys"]}


def metrics(service: Serving) -> str:
    return httpx2.get(f"{service.origin}/metrics", trust_env=False).text


def decision(service: Serving) -> httpx2.Response:
    return httpx2.post(
        f"{service.origin}/access/v1/evaluation", json=QUESTION, auth=CREDENTIALS, trust_env=False
    )


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
