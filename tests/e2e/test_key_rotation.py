"""Keys change while services run: no restart, no request lost."""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import jwt
import pytest
from click.testing import CliRunner

from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.main import stepup
from stepup.demo.authenticator import decode
from stepup.sdk.keys import KeySet
from tests.e2e.api import Api
from tests.e2e.cluster import Cluster
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
            told = deployment.run("keys", "rotate", "--emergency", "--force", "--json")
            kid = json.loads(told)["kid"]
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


class Verifier:
    """A service that verifies by itself; it counts how often it had to ask for keys."""

    def __init__(self, issuer: str) -> None:
        self.asked = 0
        self.keys = KeySet(f"{issuer}/.well-known/jwks.json", self._fetch)
        self.keys.find("none of them")

    def verifies(self, token: str) -> bool:
        key = self.keys.find(jwt.get_unverified_header(token)["kid"])
        message, _, signature = token.rpartition(".")
        return key is not None and key.verify(message.encode(), decode(signature))

    def _fetch(self, url: str) -> bytes:
        self.asked += 1
        return httpx2.get(url, trust_env=False).content


def test_a_rotation_under_load_is_seen_by_nobody_and_what_a_leaked_key_signed_dies(
    cluster: Cluster,
):
    cluster.wait_until_well()
    operate = operator_of(cluster)
    api, other = Api(cluster.one), Api(cluster.other)
    wait_until(lambda: len(keys_of(operate)) >= 2)
    verifiers = [Verifier(cluster.one.issuer)]
    asked_at_first = verifiers[0].asked
    [old] = [kid for kid, state in keys_of(operate).items() if state == "active"]

    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(step_ups, each, stop) for each in (api, other)]
        operate("keys", "rotate", "--emergency")
        time.sleep(3)
        stop.set()
        tokens = [token for load in loads for token in load.result(60)]

    kids_seen = {jwt.get_unverified_header(token)["kid"] for token in tokens}
    assert kids_seen - {old}
    # Younger caches, made while both keys are published.
    verifiers += [Verifier(cluster.other.origin), Verifier(cluster.one.issuer)]
    assert all(each.verifies(token) for each in verifiers for token in tokens)
    assert verifiers[0].asked == asked_at_first

    leaked = api.elevated()
    assert other.introspect(leaked).json()["active"] is True
    operate("keys", "revoke", jwt.get_unverified_header(leaked)["kid"], "--yes")
    revoked_at = time.monotonic()
    for each in (api, other):
        wait_until(lambda each=each: each.introspect(leaked).json() == {"active": False}, 5)
    assert time.monotonic() - revoked_at < 5
    wait_until(lambda: other.introspect(api.elevated()).json()["active"], 10)
    for each in (api, other):
        each.close()


def step_ups(api: Api, stop: threading.Event) -> list[str]:
    """Step up until told to stop; each token is asked about at the service it came from."""
    tokens = []
    while not stop.is_set():
        tokens.append(api.elevated())
        assert api.introspect(tokens[-1]).json()["active"] is True
    return tokens


def operator_of(cluster: Cluster) -> Callable[..., str]:
    """An operator at a terminal beside the cluster."""
    kept = DevelopmentSecrets.shared_by(cluster.postgres.url)
    environ = {
        "STEPUP_ISSUER": cluster.one.issuer,
        "STEPUP_POSTGRES_URL": cluster.postgres.url,
        "STEPUP_REDIS_URL": cluster.redis.url,
        "STEPUP_KEY_ENCRYPTION_KEYS": kept.key_encryption_keys,
        "STEPUP_UPSTREAMS": '[{"issuer": "https://id.example", "audience": "stepup"}]',
    }

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(stepup, arguments, env=environ, prog_name="stepup")
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def keys_of(operate: Callable[..., str]) -> dict[str, str]:
    rows = json.loads(operate("keys", "list", "--json"))
    return {row["kid"]: row["state"] for row in rows if row["use"] == "token"}
