"""The whole service over a Redis Cluster, also while one of its shards loses its primary."""

import signal
from collections.abc import Iterator

import pytest

from stepup.demo.headless import METHODS
from tests.e2e.test_headless import headless
from tests.support.service import RunningService, running_service
from tests.support.valkey_cluster import ValkeyCluster, running_valkey_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def redis() -> Iterator[ValkeyCluster]:
    with running_valkey_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def service(
    redis: ValkeyCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    arguments = ["--redis", redis.url, "--workers", "2", "--set", "drain_delay=0s"]
    with running_service(folder, *arguments) as running:
        yield running


@pytest.mark.parametrize("method", METHODS)
def test_one_whole_step_up(service: RunningService, method: str):
    [run] = headless(service, "--method", method)["runs"]
    assert (run["ok"], run["failure"]) == (True, None)
    assert run["steps"][-1]["name"] == "introspection says inactive"


def test_the_ready_file_says_where_redis_is(service, redis):
    assert service.ready["engines"]["redis"] == redis.url


@pytest.mark.fault
async def test_step_ups_go_on_after_a_shard_lost_its_primary(service, redis):
    redis.nodes[0].send(signal.SIGKILL)
    try:
        await redis.replaced(redis.nodes[0])
        assert service.get("/readyz").status_code == 200
        # The shard has no replica to hold its spends until the old primary is back.
        await redis.mend()
        # Codes of apps wait for the next step: a promotion may have lost who used one (floor).
        report = headless(service, "--method", "passkey", "--repeat", "6", "--concurrency", "3")
        assert (report["ok"], report["failed"]) == (True, 0)
    finally:
        await redis.mend()
