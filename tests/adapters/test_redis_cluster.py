"""Where a key is served in a Cluster: found, followed when it moves, never guessed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from redis.crc import key_slot

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.cluster import ClusterTopology
from stepup.adapters.redis.cluster_map import ClusterMap, read_nodes
from stepup.adapters.redis.cluster_url import ClusterUrl
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.shard import Replicas
from stepup.domain.errors import DependencyUnavailableError
from tests.support.builders import an_attempt
from tests.support.redis_cluster import tell, until
from tests.support.valkey_cluster import ShardNode, ValkeyCluster, running_valkey_cluster

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with running_valkey_cluster() as cluster:
        yield cluster


class Opened:
    """A client with its topology in reach."""

    def __init__(self, url: str) -> None:
        self.topology = ClusterTopology(ClusterUrl.parse(url), "test", None)
        self.client = RedisClient(self.topology)

    async def remember(self, key: str, attempt: str = "attempt") -> str:
        reply = await self.client.spend(
            scripts.REMEMBER_JTI, [key], [attempt, 60_000], same_attempt=True
        )
        return reply.status


@pytest.fixture
async def opened(cluster: ValkeyCluster) -> AsyncIterator[Opened]:
    await cluster.healthy()
    opened = Opened(cluster.url)
    opened.client.start()
    await opened.client.check()
    yield opened
    await opened.client.close()


def a_key() -> str:
    return f"su:{{test.{an_attempt()}}}:h"


class TestFinding:
    async def test_each_key_is_served_by_its_shard(self, opened, cluster):
        names = [a_key() for _ in range(30)]
        assert await asyncio.gather(*map(opened.remember, names)) == ["ok"] * 30
        serving = {name: await cluster.serving(name) for name in names}
        assert len(set(serving.values())) == 3
        for name, node in serving.items():
            assert await tell(node.address, "EXISTS", name) == 1

    async def test_one_node_of_the_url_is_enough_and_a_dead_one_does_no_harm(self, cluster):
        host, port = cluster.nodes[4].address
        opened = Opened(f"redis+cluster://127.0.0.1:1,{host}:{port}")
        opened.client.start()
        assert [await opened.remember(a_key()) for _ in range(9)] == ["ok"] * 9
        assert len(opened.client.shards()) == 3
        await opened.client.close()

    async def test_without_any_node_nothing_is_known_and_nothing_hangs(self):
        opened = Opened("redis+cluster://127.0.0.1:1")
        opened.client.start()
        begun = asyncio.get_running_loop().time()
        for ask in (opened.remember(a_key()), opened.client.check(), opened.client.call("PING")):
            with pytest.raises(DependencyUnavailableError):
                await ask
        assert asyncio.get_running_loop().time() - begun < 6
        await opened.client.close()


class Moving:
    """A slot that is being moved, and stays so until the test lets it arrive."""

    def __init__(self, cluster: ValkeyCluster, slot: int) -> None:
        self.cluster = cluster
        self.slot = slot

    async def begin(self, source: ShardNode, target: ShardNode) -> None:
        self.source, self.target = source, target
        ids = [(await tell(n.address, "CLUSTER", "MYID")).decode() for n in (source, target)]
        await tell(target.address, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[0])
        await tell(source.address, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[1])

    async def end(self) -> None:
        await self.cluster.migrate(self.slot, self.source, self.target)


@pytest.fixture
async def name() -> str:
    return a_key()


@pytest.fixture
async def moving(cluster: ValkeyCluster, opened: Opened, name: str) -> AsyncIterator[Moving]:
    source = await cluster.serving(name)
    target = await cluster.another(source)
    moving = Moving(cluster, key_slot(name.encode()))
    await moving.begin(source, target)
    yield moving
    await moving.end()


class TestMoving:
    async def test_a_key_that_is_new_is_made_where_the_slot_goes(self, opened, moving, name):
        assert await opened.remember(name) == "ok"
        assert await opened.remember(name, "another") == "seen"
        keys_there = await tell(moving.target.address, "CLUSTER", "GETKEYSINSLOT", moving.slot, 9)
        assert keys_there == [name.encode()]

    async def test_what_waits_for_some_of_its_keys_is_refused_before_any_effect(
        self, opened, cluster
    ):
        tag = an_attempt()
        on = [f"su:{{test.{tag}}}:{i}" for i in range(2)]
        source = await cluster.serving(on[0])
        await opened.client.call("HSET", on[0], "v", 1, "state", "pending", "expires_at", 10**15)
        moving = Moving(cluster, key_slot(on[0].encode()))
        await moving.begin(source, await cluster.another(source))
        args = [0, "ceremony", "bytes", 10**15, 3]

        with pytest.raises(DependencyUnavailableError):
            await opened.client.run(scripts.BEGIN_CEREMONY, on, args)
        waiting = asyncio.create_task(opened.client.run(scripts.BEGIN_CEREMONY, on, args))
        await asyncio.sleep(0.1)
        await moving.end()

        assert (await waiting).status == "ok"

    async def test_who_has_an_old_map_is_sent_on_and_learns(self, opened, cluster, name):
        assert await opened.remember(name) == "ok"
        source = await cluster.serving(name)
        target = await cluster.another(source)
        await cluster.migrate(key_slot(name.encode()), source, target)

        assert await opened.remember(name, "another") == "seen"
        assert await opened.remember(name) == "ok"

        async def is_learnt() -> bool:
            return opened.topology.owner(name) == target.address

        await until(is_learnt, 2, "a new map")


class TestTakingOver:
    async def test_both_connections_to_the_old_primary_end_at_once(self, opened, cluster):
        name = keys.changes()
        old = await cluster.serving(name)
        [shard] = [s for s in opened.client.shards() if await is_at(s.resolver, old)]
        wires = [await line.wire(lambda: None) for line in (shard.plain.line, shard.spending.line)]
        listener = StreamListener(opened.client.resolver(name), "test", name)
        heard = asyncio.create_task(first_of(listener))
        await asyncio.sleep(0.1)

        await tell(cluster.beside(old).address, "CLUSTER", "FAILOVER")
        await cluster.replaced(old)

        async def is_learnt() -> bool:
            return opened.topology.owner(name) != old.address

        await until(is_learnt, 2, "a new map")
        assert not any(wire.usable for wire in wires)
        assert shard not in opened.client.shards()
        await cluster.healthy()
        # Whoever listens has followed, and hears of what is new there.
        async with asyncio.timeout(5):
            while not heard.done():
                await opened.client.run(scripts.ANNOUNCE_CHANGE, [name], [60_000, 1000])
                await asyncio.sleep(0.1)

    async def test_a_resolver_of_a_key_counts_its_owners(self, opened, cluster):
        name = a_key()
        resolver, told = opened.client.resolver(name), []
        before = resolver.generation
        resolver.on_change(lambda: told.append(resolver.generation))
        old = await cluster.serving(name)
        await tell(cluster.beside(old).address, "CLUSTER", "FAILOVER")

        async def is_told() -> bool:
            return bool(told)

        await until(is_told, 10, "a word about it")
        assert resolver.generation > before
        assert (await resolver.primary()).address == (await cluster.serving(name)).address


async def is_at(resolver, node: ShardNode) -> bool:
    return (await resolver.primary()).address == node.address


async def first_of(listener: StreamListener) -> object:
    async with aclosing(listener.entries()) as entries:
        async for entry in entries:
            return entry
    return None


class TestReplicas:
    """All that a shard has must hold a spend, and never fewer than the setting says."""

    NODES = (
        "aaa 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-8000\n"
        "bbb 10.0.0.2:1@2 master - 0 0 2 connected 8001-16383\n"
        "ccc 10.0.0.3:1@2 slave aaa 0 0 1 connected\n"
        "ddd 10.0.0.4:1@2 slave,fail aaa 0 0 1 connected\n"
    )
    ALONE = "aaa 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n"

    @pytest.mark.parametrize(
        ("nodes", "setting", "host", "least"),
        [
            (NODES, None, "10.0.0.1", 2),
            (NODES, 1, "10.0.0.1", 2),
            (NODES, 3, "10.0.0.1", 3),
            # Its replica is gone, and was not meant to be: nothing is granted there.
            (NODES, None, "10.0.0.2", 1),
            (ALONE, None, "10.0.0.1", 0),
            (ALONE, 1, "10.0.0.1", 1),
        ],
        ids=["all", "more than set", "as set", "an orphan", "development", "none, and one is set"],
    )
    async def test_counts_those_that_are_away_too(self, nodes, setting, host, least):
        topology = ClusterTopology(ClusterUrl.parse("redis+cluster://10.0.0.1:1"), "test", setting)
        view = read_nodes(nodes, ("10.0.0.1", 1), by_name=False)
        topology._map = ClusterMap.merged([view])
        assert topology.required((host, 1)) == Replicas(least, least)
