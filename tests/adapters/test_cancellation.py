"""Callers who leave at any moment, on every connection that is shared: no answer goes astray.

The fuzz of the 2023 incident at OpenAI: cancelled requests, swapped answers (RELIABILITY F12).
"""

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from sqlalchemy import literal, select

from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.engine import make_engine
from stepup.adapters.postgres.line import Line
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Address, Endpoint, OneNode
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import SentinelFence
from stepup.adapters.redis.plain import PlainConnection
from stepup.adapters.redis.scripts import Fenced, Script
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.shard import OneShard
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.redis_cluster import RedisCluster, running_cluster
from tests.support.valkey_cluster import running_valkey_cluster

AT_ONCE = 200
# A spend whose reply says which request it belongs to, and which writes.
SOURCE = "#!lua\nredis.call('SET', KEYS[1], ARGV[1], 'PX', 100)\nreturn {'ok', ARGV[1]}"
SHA = hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()
SAYS_WHO = Script("says_who", SOURCE, SHA, Fenced.ALL)

Ask = Callable[[int], Awaitable[object]]


@pytest.fixture(params=[20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def operations(request: pytest.FixtureRequest) -> int:
    return request.param


async def leave_at_random(
    ask: Ask, operations: int, at_once: int = AT_ONCE
) -> tuple[Counter[str], list[object]]:
    """Ask so often, and leave about 4 in 10; count the ends, and return answers to others."""
    chance = random.Random(7)  # noqa: S311  a fuzz that can be repeated
    ends: Counter[str] = Counter()
    wrong: list[object] = []
    loop = asyncio.get_running_loop()
    for first in range(0, operations, at_once):
        tasks = [asyncio.ensure_future(ask(i)) for i in range(first, first + at_once)]
        await asyncio.sleep(0)
        for task in tasks:
            # Some leave while they are queued, some while they are in flight, some too late.
            fate = chance.random()
            if fate < 0.2:
                task.cancel()
            elif fate < 0.5:
                loop.call_later(chance.random() / 500, task.cancel)
        for i, end in enumerate(await asyncio.gather(*tasks, return_exceptions=True), first):
            is_answer = not isinstance(end, BaseException)
            ends["answered" if is_answer else type(end).__name__] += 1
            if is_answer and end != i:
                wrong.append((i, end))
    return ends, wrong


def expect_no_harm(ends: Counter[str], wrong: list[object], operations: int) -> None:
    assert wrong == []
    assert ends.keys() == {"answered", "CancelledError"}, ends
    assert ends.total() == operations
    assert min(ends.values()) > operations / 20, ends


@pytest.mark.redis
class TestOneNode:
    @pytest.fixture
    async def client(self, redis_url: str) -> AsyncIterator[RedisClient]:
        node = OneNode(Endpoint.parse(redis_url))
        client = RedisClient(OneShard(node, name="test", replicas=0))
        client.start()
        await client.check()
        yield client
        await client.close()

    async def test_on_the_plain_connection(self, client, operations):
        async def ask(i: int) -> int:
            return int(await client.call("ECHO", f"{i}"))

        expect_no_harm(*await leave_at_random(ask, operations), operations)

    async def test_on_the_spending_connection(self, client, operations):
        expect_no_harm(*await leave_at_random(spend_on(client), operations), operations)


@pytest.mark.redis
async def test_on_every_shard_of_a_cluster(valkey_url, operations):
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with RedisState(valkey_url, sealer, StillClock()) as state:
        await state.client.check()
        ends = await leave_at_random(spend_on(state.client), operations)
        expect_no_harm(*ends, operations)


@pytest.mark.redis
class TestSentinels:
    async def test_on_a_connection_to_a_sentinel(self, sentinels, operations):
        host, port = sentinels.nodes[0].sentinel_address
        endpoint = Endpoint(f"redis://{host}:{port}", is_witness=True)
        connection = PlainConnection(OneNode(endpoint), "test")
        connection.start()

        async def ask(i: int) -> int:
            return int(await connection.send(("PING", f"{i}"), 1e9))

        expect_no_harm(*await leave_at_random(ask, operations), operations)
        await connection.close()

    async def test_at_the_fence(self, sentinels, operations):
        """Who leaves takes the answer from nobody: what the primary said is granted to the rest."""
        resolver = SentinelResolver(SentinelUrl.parse(sentinels.url), "test")
        fence = SentinelFence(resolver.sentinels)
        client = RedisClient(OneShard(resolver, name="test", replicas=1, fence=fence))
        client.start()
        address: Address = (await sentinels.primary()).address
        await client.check()

        async def ask(i: int) -> int:
            await fence.check(address)
            return i

        expect_no_harm(*await leave_at_random(ask, operations), operations)
        await client.close()


@pytest.mark.postgres
@pytest.mark.parametrize("operations", [2_000, pytest.param(50_000, marks=pytest.mark.long)])
async def test_on_the_pool_of_postgresql(schema_url, operations):
    """Fewer, because each one that is cancelled in flight costs a connection and a process."""
    line = Line(lambda: make_engine(schema_url), CircuitBreaker(time.monotonic))

    async def ask(i: int) -> int:
        async with line.transaction(autocommit=True) as transaction:
            found: int = (await transaction.rows(select(literal(i))))[0][0]
        return found

    ends, wrong = await leave_at_random(ask, operations, at_once=10)
    assert wrong == []
    # A connection whose caller left is replaced, and who comes meanwhile may have to wait too long.
    late = ends.pop(DependencyUnavailableError.__name__, 0)
    assert late < operations / 20, late
    assert ends.keys() == {"answered", "CancelledError"}, ends
    assert await ask(-1) == -1
    await line.close()


def spend_on(client: RedisClient) -> Ask:
    async def ask(i: int) -> int:
        reply = await client.spend(SAYS_WHO, [f"su:{{{i % 97}}}"], [i], same_attempt=True)
        return int(reply.values[0])

    return ask


@pytest.fixture(scope="module")
def sentinels() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with running_valkey_cluster() as cluster:
        yield cluster.url
