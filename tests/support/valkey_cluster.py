"""A Cluster of three shards of the product's, to be killed, frozen, switched and resharded.

As `stepup cluster up --cluster` runs it, with a shorter time until a node counts as failed.
"""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_hosts import free_ports
from stepup.adapters.embedded.redis_shards import Ports, RedisShards, ShardNode, shard_nodes
from tests.support.redis_cluster import tell

__all__ = ["ShardNode", "ValkeyCluster", "running_valkey_cluster"]

NODE_TIMEOUT_MS = 1_000


class ValkeyCluster(RedisShards):
    """Six nodes, and what a test does with them."""

    async def serving(self, key: str) -> ShardNode:
        """Return the primary of a key."""
        address = (await self.shape()).owner(key)
        assert address is not None
        return self.at(address)

    async def another(self, primary: ShardNode) -> ShardNode:
        """Return the primary of another shard."""
        return next(each for each in await self.primaries() if each is not primary)

    async def migrate(self, slot: int, source: ShardNode, target: ShardNode) -> None:
        """Move a slot as `redis-cli --cluster reshard` does, key by key."""
        ids = {node: (await tell(node.address, "CLUSTER", "MYID")).decode() for node in self.nodes}
        await tell(target.address, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        await tell(source.address, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        while keys := await tell(source.address, "CLUSTER", "GETKEYSINSLOT", slot, 5):
            host, port = target.address
            move = ("MIGRATE", host, port, "", 0, 1000, "KEYS", *(key.decode() for key in keys))
            await tell(source.address, *move)
        for node in (target, source):
            await tell(node.address, "CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    async def mend(self) -> None:
        """Resume what was frozen, start what was killed, and wait until all is well."""
        for node in self.nodes:
            assert node.server is not None
            if node.server.alive:
                node.send(signal.SIGCONT)
            else:
                node.start()
        await self.healthy()


@contextmanager
def running_valkey_cluster(
    binary: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[ValkeyCluster]:
    """Run a Cluster on ports that nobody uses; not for use inside an event loop."""
    folder = Path(tempfile.mkdtemp(prefix="stepup-slots-"))
    lines = {"cluster-node-timeout": str(NODE_TIMEOUT_MS), **(settings or {})}
    ports = Ports(*free_ports(len(Ports._fields)))
    cluster = ValkeyCluster(shard_nodes(binary or find_binary(), folder, ports, lines))
    try:
        cluster.start()
        asyncio.run(_become_one(cluster))
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _become_one(cluster: ValkeyCluster) -> None:
    await cluster.form()
    await cluster.healthy()
