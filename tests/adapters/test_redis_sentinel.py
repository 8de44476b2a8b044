"""Behind real Sentinels: who is the primary, what a fence sees, and every contract."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from stepup.adapters.redis import scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import SentinelFence
from stepup.adapters.redis.replies import FenceError
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.shard import OneShard
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import OutcomeUnknownError, StepUpError
from stepup.ports import State
from tests.contracts.challenges import ChallengeStoreContract
from tests.contracts.codes import CodeContract
from tests.contracts.refreshes import RefreshStoreContract
from tests.contracts.spending import StepStoreContract, TokenStoreContract
from tests.support.builders import an_attempt
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.redis_cluster import RedisCluster, running_cluster, tell

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster_of_module() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
async def cluster(cluster_of_module: RedisCluster) -> AsyncIterator[RedisCluster]:
    """The set, healthy; whatever a test does to it is mended."""
    yield cluster_of_module
    await cluster_of_module.mend()


class Opened:
    """A client with its parts in reach."""

    def __init__(self, url: str) -> None:
        self.resolver = SentinelResolver(SentinelUrl.parse(url), "test")
        self.fence = SentinelFence(self.resolver.sentinels)
        self.client = RedisClient(
            OneShard(self.resolver, name="test", replicas=1, fence=self.fence)
        )

    async def spend(self, key: str, attempt: str) -> str:
        """Spend with the simplest script that is fenced: of all steps each is accepted once."""
        reply = await self.client.spend(
            scripts.ACCEPT_STEP, [f"su:test:{key}"], [7, attempt, 60_000], same_attempt=True
        )
        return reply.status


@pytest.fixture
async def opened(cluster: RedisCluster) -> AsyncIterator[Opened]:
    opened = Opened(cluster.url)
    opened.client.start()
    async with asyncio.timeout(5):
        await opened.client.check()
    yield opened
    await opened.client.close()


async def answered(opened: Opened, seconds: float = 15.0) -> float:
    """Spend until it works again, and return how long that took."""
    begun = time.monotonic()
    while True:
        try:
            await opened.spend(an_attempt(), "attempt")
            return time.monotonic() - begun
        except StepUpError:
            assert time.monotonic() - begun < seconds
            await asyncio.sleep(0.02)


class TestResolver:
    async def test_finds_the_primary_and_spends_there(self, cluster, opened):
        key = an_attempt()
        assert await opened.spend(key, "attempt") == "ok"
        assert await opened.spend(key, "another") == "replay"
        primary = await cluster.primary()
        assert (await opened.resolver.primary()).address == primary.address
        assert await tell(primary.address, "EXISTS", f"su:test:{key}") == 1

    async def test_follows_a_failover_with_all_connections_at_once(self, cluster, opened):
        before = opened.resolver.generation
        wires = [await line.wire(lambda: None) for line in lines(opened)]
        old = await cluster.primary()
        old.send(signal.SIGKILL)

        took = await answered(opened)

        assert opened.resolver.generation > before
        assert (await opened.resolver.primary()).address != old.address
        assert not any(wire.usable for wire in wires)
        assert took < 8

    async def test_leaves_a_primary_that_was_moved_while_it_still_answers(self, cluster, opened):
        old = await cluster.primary()
        assert await cluster.switch_over()
        await answered(opened)
        wire = await opened.client.shards()[0].plain.line.wire(lambda: None)
        assert wire.endpoint.address != old.address

    async def test_one_frozen_sentinel_costs_a_quarter_of_a_second_once(self, cluster, opened):
        cluster.nodes[2].send_to_sentinel(signal.SIGSTOP)
        begun = time.monotonic()
        assert await opened.spend(an_attempt(), "attempt") == "ok"
        assert time.monotonic() - begun < 0.25 + 0.25
        begun = time.monotonic()
        for _ in range(20):
            assert await opened.spend(an_attempt(), "attempt") == "ok"
        assert time.monotonic() - begun < 20 * 0.25 / 4

    async def test_starts_with_a_sentinel_that_is_frozen(self, cluster):
        cluster.nodes[0].send_to_sentinel(signal.SIGSTOP)
        begun = time.monotonic()
        opened = Opened(cluster.url)
        opened.client.start()
        await opened.client.check()
        assert time.monotonic() - begun < 1
        await opened.client.close()


class TestFence:
    async def test_without_a_majority_of_sentinels_nothing_is_granted(self, cluster, opened):
        for node in cluster.nodes[:2]:
            node.send_to_sentinel(signal.SIGSTOP)
        key = an_attempt()
        with pytest.raises(OutcomeUnknownError):
            await opened.spend(key, "attempt")
        assert await opened.client.call("EXISTS", f"su:test:{key}") == 1, "only the fence refused"

        for node in cluster.nodes[:2]:
            node.send_to_sentinel(signal.SIGCONT)
        await answered(opened)
        assert await opened.spend(key, "attempt") == "ok"
        assert await opened.spend(key, "another") == "replay"

    async def test_a_refusal_too_needs_the_primary(self, cluster, opened):
        key = an_attempt()
        assert await opened.spend(key, "attempt") == "ok"
        for node in cluster.nodes[:2]:
            node.send_to_sentinel(signal.SIGSTOP)
        with pytest.raises(OutcomeUnknownError):
            await opened.spend(key, "another")

    async def test_a_replica_is_no_primary(self, cluster, opened):
        (replica, _) = await cluster.replicas()
        with pytest.raises(FenceError):
            await opened.fence.check(replica.address)

    async def test_refuses_from_the_first_moment_of_a_planned_failover(self, cluster, opened):
        old = await cluster.primary()
        await cluster.fail_over()
        with pytest.raises(FenceError):
            await opened.fence.check(old.address)


class TestAcknowledgement:
    async def test_one_replica_is_enough(self, cluster, opened):
        (replica, _) = await cluster.replicas()
        replica.send(signal.SIGSTOP)
        assert await opened.spend(an_attempt(), "attempt") == "ok"

    async def test_with_both_replicas_frozen_nothing_is_granted_and_reads_go_on(
        self, cluster, opened
    ):
        for node in await cluster.replicas():
            node.send(signal.SIGSTOP)
        spend = asyncio.create_task(opened.spend(an_attempt(), "attempt"))
        begun = time.monotonic()
        for _ in range(50):
            await opened.client.call("ECHO", "x")
        assert time.monotonic() - begun < 0.3
        with pytest.raises(OutcomeUnknownError):
            await spend


def lines(opened: Opened) -> list:
    return [opened.client.shards()[0].plain.line, opened.client.shards()[0].spending.line]


@pytest.fixture
async def states(cluster_of_module: RedisCluster, clock: StillClock) -> AsyncIterator:
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with (
        RedisState(cluster_of_module.url, sealer, clock) as one,
        RedisState(cluster_of_module.url, sealer, clock) as other,
    ):
        yield one.stores, other.stores


@pytest.fixture
def state(states: tuple[State, State]) -> State:
    return states[0]


class TestChallenges(ChallengeStoreContract):
    pass


class TestCodes(CodeContract):
    replicated = True


class TestRefreshes(RefreshStoreContract):
    replicated = True


class TestSteps(StepStoreContract):
    pass


class TestTokens(TokenStoreContract):
    replicated = True
