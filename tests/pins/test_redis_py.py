"""What redis-py does by itself, and why the repeats and the discovery are ours (pin P11)."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as NoAnswerError

from stepup.adapters.redis.endpoint import OF_A_WITNESS, Endpoint
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.sentinel_url import SentinelUrl
from tests.support.redis_cluster import (
    NAME,
    RedisCluster,
    engines,
    running_cluster,
    tell,
    until,
)

pytestmark = [pytest.mark.redis, pytest.mark.pin, pytest.mark.fault]

FREEZE = 1.2


@pytest.fixture(scope="module")
def cluster_of_module(engine: str) -> Iterator[RedisCluster]:
    with running_cluster(engines()[engine], down_after_ms=10_000) as cluster:
        yield cluster


@pytest.fixture
async def cluster(cluster_of_module: RedisCluster) -> AsyncIterator[RedisCluster]:
    await cluster_of_module.healthy()
    yield cluster_of_module
    await cluster_of_module.mend()


async def incr_through_a_freeze(cluster: RedisCluster, client: Redis, key: str) -> Any:
    """Freeze the primary before one INCR and resume it later; return the answer or the error."""
    primary = await cluster.primary()
    await client.ping()
    primary.send(signal.SIGSTOP)
    resumed = asyncio.get_running_loop().call_later(FREEZE, primary.send, signal.SIGCONT)
    try:
        return await client.incr(key)
    except NoAnswerError as error:
        return error
    finally:
        await asyncio.sleep(FREEZE)
        resumed.cancel()
        await client.aclose()


async def test_p11_the_default_retry_executes_again_what_was_executed(cluster):
    host, port = (await cluster.primary()).address
    client: Redis = Redis(host=host, port=port, socket_timeout=0.3)
    await incr_through_a_freeze(cluster, client, "p11:default")
    assert int(await tell((host, port), "GET", "p11:default")) >= 2


async def test_p11_without_retry_nothing_is_executed_twice(cluster):
    host, port = (await cluster.primary()).address
    once = Retry(NoBackoff(), 0)
    client: Redis = Redis(host=host, port=port, socket_timeout=0.3, retry=once)
    answer = await incr_through_a_freeze(cluster, client, "p11:once")
    assert isinstance(answer, NoAnswerError)
    assert int(await tell((host, port), "GET", "p11:once")) == 1


async def test_p11_our_connections_have_no_retry():
    connection = Endpoint("redis://localhost:1").new_connection("pin")
    assert connection.retry.get_retries() == 0
    assert connection.health_check_interval == 0


async def test_p11_with_a_frozen_sentinel_discovery_takes_as_long_as_our_time_out(cluster):
    """redis-py asks one after another, ten times each by default; we set both."""
    cluster.nodes[0].send_to_sentinel(signal.SIGSTOP)
    options = {
        "socket_timeout": OF_A_WITNESS.connect,
        "socket_connect_timeout": OF_A_WITNESS.connect,
        "retry": Retry(NoBackoff(), 0),
    }
    addresses = [node.sentinel_address for node in cluster.nodes]
    sentinel = Sentinel(addresses, sentinel_kwargs=options)
    begun = time.monotonic()
    assert await sentinel.discover_master(NAME)
    assert time.monotonic() - begun < 3 * OF_A_WITNESS.connect
    for each in sentinel.sentinels:
        await each.aclose()


async def test_p11_our_own_discovery_waits_for_nobody_who_is_frozen(cluster):
    cluster.nodes[0].send_to_sentinel(signal.SIGSTOP)
    resolver = SentinelResolver(SentinelUrl.parse(cluster.url), "pin")
    begun = time.monotonic()
    resolver.start()

    async def is_found() -> bool:
        return bool(await resolver.primary())

    await until(is_found, 5, "a primary")
    assert time.monotonic() - begun < 0.5
    cluster.nodes[0].send_to_sentinel(signal.SIGCONT)
    assert (await resolver.primary()).address == (await cluster.primary()).address
    await resolver.close()
