"""The Cluster that `stepup cluster up --cluster` runs: where its nodes are, how it is mended."""

import signal
from collections.abc import Iterator

import pytest

from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_hosts import HOSTS
from stepup.adapters.embedded.redis_shards import Ports, RedisShards, shard_nodes
from stepup.adapters.redis import operator
from tests.support.valkey_cluster import ValkeyCluster, running_valkey_cluster

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with running_valkey_cluster() as cluster:
        yield cluster


def test_the_two_nodes_of_a_shard_are_on_different_hosts(tmp_path):
    nodes = shard_nodes(find_binary(), tmp_path, Ports(1, 2, 3, 4), {}, "secret")
    shards = RedisShards(nodes, "secret")
    for node in nodes:
        other = shards.beside(node)
        assert shards.beside(other) is node
        assert shards.shard_of(other) == shards.shard_of(node)
        assert other.address[0] != node.address[0]
    assert sorted(node.address[0] for node in nodes) == sorted(HOSTS * 2)
    assert len({node.address for node in nodes}) == 6
    assert shards.url.startswith("redis+cluster://:secret@127.0.0.11:1,127.0.0.12:1,")


async def test_a_shard_is_handed_over_and_keeps_what_it_has(cluster):
    await cluster.healthy()
    old = (await cluster.primaries())[1]
    shape = await cluster.shape()
    name = next(key for key in map(str, range(200)) if shape.owner(key) == old.address)
    await operator.tell(old.endpoint, "SET", name, "kept")

    new = await cluster.hand_over(2)

    assert new is cluster.beside(old)
    assert (await cluster.primaries())[1] is new
    assert await operator.tell(new.endpoint, "GET", name) == b"kept"


async def test_nothing_is_handed_over_while_a_node_hangs(cluster):
    await cluster.healthy()
    before = await cluster.primaries()
    hanging = cluster.beside(before[0])
    hanging.send(signal.SIGSTOP)
    try:
        with pytest.raises(EngineError, match="not healthy; nothing was done"):
            await cluster.hand_over(3)
    finally:
        hanging.send(signal.SIGCONT)
    await cluster.healthy()
    assert await cluster.primaries() == before


async def test_a_shard_of_which_both_nodes_died_comes_back_one_after_the_other(cluster):
    await cluster.healthy()
    both = (cluster.nodes[0], cluster.nodes[3])
    for node in both:
        assert node.server is not None
        node.server.stop(signal.SIGKILL)
    for node in both:
        await cluster.start_again(node)
    assert len(await cluster.primaries()) == 3


async def test_without_any_node_nobody_knows_who_is_who(tmp_path):
    nodes = shard_nodes(find_binary(), tmp_path, Ports(1, 2, 3, 4), {})
    with pytest.raises(ConnectionError, match="no node answers"):
        await RedisShards(nodes).primaries()
