"""A spend that all replicas must hold, beside others that are content with one."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from stepup.adapters.redis import scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Endpoint, OneNode
from stepup.adapters.redis.shard import OneShard
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from tests.support.redis_cluster import RedisCluster, engines, running_replicas

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_replicas(next(iter(engines().values()))) as cluster:
        yield cluster


@pytest.fixture
def thawed(cluster: RedisCluster) -> Iterator[None]:
    yield
    for node in cluster.nodes[1:]:
        node.send(signal.SIGCONT)


@pytest.fixture
async def client(cluster: RedisCluster, thawed: None) -> AsyncIterator[RedisClient]:
    host, port = cluster.nodes[0].address
    primary = OneNode(Endpoint.parse(f"redis://{host}:{port}"))
    client = RedisClient(OneShard(primary, name="test", replicas=1, all_replicas=2))
    client.start()
    await client.check()
    yield client
    await client.close()


async def spend(client: RedisClient, *, everywhere: bool = False) -> str:
    key = f"su:test:{os.urandom(8).hex()}"
    args = ["attempt", 60_000]
    reply = await client.spend(
        scripts.REMEMBER_JTI, [key], args, same_attempt=True, everywhere=everywhere
    )
    return reply.status


async def test_is_granted_when_all_hold_it(client):
    assert await spend(client, everywhere=True) == "ok"


async def test_with_one_replica_away_nothing_is_held_everywhere_and_one_is_enough_for_others(
    client, cluster
):
    cluster.nodes[1].send(signal.SIGSTOP)
    results = await asyncio.gather(
        *(spend(client, everywhere=n % 2 == 0) for n in range(20)), return_exceptions=True
    )
    assert results[1::2] == ["ok"] * 10
    assert all(isinstance(result, OutcomeUnknownError) for result in results[::2])

    cluster.nodes[1].send(signal.SIGCONT)
    assert await spend(client, everywhere=True) == "ok"


async def test_who_needs_one_replica_does_not_wait_for_all(client, cluster):
    cluster.nodes[1].send(signal.SIGSTOP)
    begun = time.monotonic()
    for _ in range(20):
        assert await spend(client) == "ok"
    assert time.monotonic() - begun < 0.5


async def test_where_there_should_be_no_replicas_nothing_can_be_held_everywhere(cluster):
    host, port = cluster.nodes[0].address
    client = RedisClient(
        OneShard(OneNode(Endpoint.parse(f"redis://{host}:{port}")), name="test", replicas=0)
    )
    client.start()
    with pytest.raises(DependencyUnavailableError):
        await spend(client, everywhere=True)
    assert await spend(client) == "ok"
    await client.close()
