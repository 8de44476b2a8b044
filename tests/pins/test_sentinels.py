"""What the fence check rests on: how Sentinels show an election (RELIABILITY section 12)."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.redis_cluster import NAME, RedisCluster, engines, running_cluster, tell, until

pytestmark = [pytest.mark.redis, pytest.mark.pin]


@pytest.fixture(scope="module")
def cluster_of_module(engine: str) -> Iterator[RedisCluster]:
    with running_cluster(engines()[engine]) as cluster:
        yield cluster


@pytest.fixture
async def cluster(cluster_of_module: RedisCluster) -> AsyncIterator[RedisCluster]:
    await cluster_of_module.healthy()
    yield cluster_of_module
    await cluster_of_module.mend()


async def votes(cluster: RedisCluster, address: tuple[str, int]) -> list[tuple[int, int]]:
    """The epoch of the last vote and that of the configuration, as each Sentinel has them."""
    found = []
    for node in cluster.nodes:
        down = await ask_down(node.sentinel_address, address)
        known = await tell(node.sentinel_address, "SENTINEL", "MASTER", NAME)
        found.append((down[2], int(known[b"config-epoch"])))
    return found


async def ask_down(sentinel: tuple[str, int], address: tuple[str, int]) -> list:
    return await tell(sentinel, "SENTINEL", "IS-MASTER-DOWN-BY-ADDR", *address, 0, "stepup")


async def test_p5_asking_with_epoch_0_casts_no_vote(cluster):
    primary = await cluster.primary()
    before = await votes(cluster, primary.address)
    for node in cluster.nodes * 3:
        down, leader, epoch = await ask_down(node.sentinel_address, primary.address)
        assert down == 0
        assert isinstance(leader, bytes)
        assert leader != b"stepup"
        assert isinstance(epoch, int)
    assert await votes(cluster, primary.address) == before
    assert all(vote <= config for vote, config in before)


async def test_p6_the_acting_sentinel_alone_shows_a_planned_failover_at_once(cluster):
    old = await cluster.primary()
    await cluster.fail_over()
    acting, *others = cluster.nodes
    known = await tell(acting.sentinel_address, "SENTINEL", "MASTER", NAME)
    assert b"failover_in_progress" in known[b"flags"].split(b",")
    for node in others:
        known = await tell(node.sentinel_address, "SENTINEL", "MASTER", NAME)
        assert known[b"flags"] == b"master", "the others do not know, hence the veto"
    await cluster.promoted(old)


async def test_p6_in_an_election_the_vote_is_newer_than_the_configuration(cluster):
    old = await cluster.primary()
    seen: set[int] = set()
    promotion = asyncio.ensure_future(cluster.promoted(old))
    old.send(signal.SIGSTOP)

    async def most_have_voted() -> bool:
        for index, (vote, config) in enumerate(await votes(cluster, old.address)):
            if vote > config:
                seen.add(index)
        return len(seen) >= 2

    await until(most_have_voted, 10, "votes of a majority")
    assert not promotion.done(), "votes come before the promotion"
    await promotion


async def test_p6_whoever_is_voted_for_shows_that_it_stands(cluster):
    """A vote of which no Sentinel is the standing candidate is over, so it needs no veto."""
    old = await cluster.primary()
    promotion = asyncio.ensure_future(cluster.promoted(old))
    old.send(signal.SIGSTOP)
    bare: list[list[tuple[int, int]]] = []
    stood = False
    while not promotion.done():
        before = await votes(cluster, old.address)
        flags = [
            (await tell(node.sentinel_address, "SENTINEL", "MASTER", NAME))[b"flags"]
            for node in cluster.nodes
        ]
        stands = any(b"failover_in_progress" in each.split(b",") for each in flags)
        stood = stood or stands
        voted = any(vote > config for vote, config in before)
        # Over meanwhile, there is nobody left to stand.
        if voted and not stands and not promotion.done():
            bare.append(before)
    assert stood
    assert bare == []
