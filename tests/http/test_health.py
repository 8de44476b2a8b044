"""Liveness, readiness and metrics."""

import asyncio

import pytest

from stepup import telemetry
from stepup.domain.freshness import Freshness
from stepup.http.app import create_app
from stepup.http.health import Readiness
from tests.http.probe_routes import FRAME
from tests.support.application import HeldSnapshot, a_keyring, a_policy, calling, memory_ports


class Store:
    """A store that can be switched off."""

    def __init__(self) -> None:
        self.up = True

    async def check(self) -> None:
        if not self.up:
            raise ConnectionError


@pytest.fixture
def redis() -> Store:
    return Store()


@pytest.fixture
def readiness(redis) -> Readiness:
    return Readiness({"redis": redis.check})


async def test_live_says_that_the_loop_turns(frame):
    response = await frame.get("/livez")

    assert (response.status_code, response.json()) == (200, {"status": "live"})


async def test_an_instance_whose_stores_answered_is_ready(frame, readiness):
    await readiness.check()

    response = await frame.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "draining": False,
        "components": {"redis": "ok", "keys": "ok", "policy": "ok"},
        "policy": {"version": 1, "refused": None},
    }


async def test_an_instance_that_never_reached_its_stores_is_not_ready(frame, readiness, redis):
    redis.up = False
    await readiness.check()

    response = await frame.get("/readyz")

    assert (response.status_code, response.json()["status"]) == (503, "unready")
    assert response.json()["components"]["redis"] == "failing"


async def test_a_store_that_fails_later_degrades_an_instance_but_keeps_it(frame, readiness, redis):
    await readiness.check()
    redis.up = False
    await readiness.check()

    response = await frame.get("/readyz")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["components"]["redis"] == "failing"


async def test_an_instance_that_started_with_a_copy_is_degraded_and_serves(ports, redis):
    postgres = Store()
    postgres.up = False
    checks = {"redis": redis.check, "postgres": postgres.check}
    readiness = Readiness(checks, replaceable=frozenset({"postgres"}))
    await readiness.check()

    assert readiness.report(ports).status == "degraded"
    assert readiness.report(memory_ports(snapshot=HeldSnapshot())).status == "unready"


async def test_a_configuration_that_nobody_confirmed_lately_is_degraded(readiness):
    snapshot = HeldSnapshot(a_policy(), a_keyring())
    snapshot.held_freshness = Freshness.STALE
    await readiness.check()
    report = readiness.report(memory_ports(snapshot=snapshot))

    assert report.status == "degraded"
    assert report.components == {"redis": "ok", "keys": "degraded", "policy": "degraded"}


async def test_an_instance_that_cannot_load_a_version_says_so_and_serves(readiness):
    snapshot = HeldSnapshot(a_policy(version=3), a_keyring())
    snapshot.held_refusal = "version 4 cannot be read by this release"
    await readiness.check()
    report = readiness.report(memory_ports(snapshot=snapshot))

    assert report.status == "degraded"
    assert report.components == {"redis": "ok", "keys": "ok", "policy": "degraded"}
    assert (report.policy.version, report.policy.refused) == (3, snapshot.held_refusal)


async def test_a_store_that_comes_back_is_seen(frame, readiness, redis):
    await readiness.check()
    redis.up = False
    await readiness.check()
    redis.up = True
    await readiness.check()

    assert (await frame.get("/readyz")).json()["status"] == "ready"


async def test_a_draining_instance_is_not_ready_but_serves(frame, readiness):
    await readiness.check()
    readiness.drain()

    response = await frame.get("/readyz")

    assert readiness.is_draining
    assert (response.status_code, response.json()["draining"]) == (503, True)
    assert (await frame.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    ("missing", "snapshot"),
    [
        ("keys", HeldSnapshot(policy=a_policy())),
        ("policy", HeldSnapshot(keyring=a_keyring())),
    ],
)
async def test_an_instance_without_keys_or_policy_is_not_ready(missing, snapshot):
    app = create_app(memory_ports(snapshot=snapshot), readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["components"][missing] == "failing"


async def test_a_store_that_hangs_is_given_up_and_nobody_waits_for_it():
    async def hang() -> None:
        await asyncio.Event().wait()

    readiness = Readiness({"redis": hang})
    async with asyncio.timeout(1):
        await readiness.check()

    assert readiness.report(memory_ports()).components["redis"] == "failing"


async def test_the_first_answers_are_in_before_the_application_serves(framed, readiness, ports):
    async with framed.lifespan():
        assert readiness.report(ports).status == "ready"


async def test_stores_are_asked_again_while_the_application_runs(framed, monkeypatch):
    monkeypatch.setattr("stepup.http.health._CHECK_INTERVAL", 0.001)
    asked_again = asyncio.Event()
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            asked_again.set()

    async with Readiness({"redis": check}).watch(framed), asyncio.timeout(2):
        await asked_again.wait()


async def test_a_failing_store_is_seen_in_the_metrics(readiness, redis):
    redis.up = False
    await readiness.check()

    assert telemetry.REGISTRY.get_sample_value("stepup_dependency_up", {"name": "redis"}) == 0


async def test_metrics_come_in_prometheus_text(frame):
    await frame.get("/livez")

    response = await frame.get("/metrics")

    assert response.headers["content-type"] == telemetry.METRICS_CONTENT_TYPE
    assert 'stepup_http_requests_total{code="200",method="GET",route="/livez"}' in response.text
