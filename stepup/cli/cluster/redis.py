"""The Redis of a cluster, with Sentinels or in shards: its members, their roles, its start."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from typing_extensions import override

from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_hosts import HOSTS, SERVER_SETTINGS, free_ports
from stepup.adapters.embedded.redis_set import Node, RedisSet, Watch
from stepup.adapters.embedded.redis_shards import (
    SHARDS,
    Ports,
    RedisShards,
    ShardNode,
    shard_nodes,
)
from stepup.cli.cluster.members import Member

_SENTINEL_PORTS = (6379, 26379)
_SHARD_PORTS = Ports(6379, 6380, 16379, 16380)


class Wanted(NamedTuple):
    """How the Redis of a cluster is to be."""

    sharded: bool
    down_after_ms: int
    folder: Path
    password: str


class Redis(Protocol):
    """What a cluster does with its Redis."""

    @property
    def url(self) -> str:
        """What an operator would configure."""
        ...

    async def start(self) -> None:
        """Start it; it gets in step while other things are started."""
        ...

    async def healthy(self) -> None:
        """Wait until everybody is in step."""
        ...

    def members(self) -> Sequence[Member]:
        """Return its members, which were started."""
        ...

    async def roles(self) -> dict[str, str]:
        """Return the roles by the members' names; a `RedisError` or `OSError` if nobody can say."""
        ...

    async def switch_over(self, shard: str) -> dict[str, str]:
        """Move the primary of a shard, without a name of each; return the new ones' roles.

        Raises:
            EngineError: If it cannot be done; then nothing more is done.
        """
        ...

    def stop(self) -> None:
        """End all of it."""
        ...


def new_redis(wanted: Wanted) -> Redis:
    """Return what is wanted, on the usual ports where they are free."""
    return _Shards(wanted) if wanted.sharded else _Sentinels(wanted)


class _Sentinels(Redis):
    """A primary, two replicas, and a Sentinel beside each."""

    def __init__(self, wanted: Wanted) -> None:
        server, sentinel = free_ports(2, _SENTINEL_PORTS)
        self._set = RedisSet(
            [
                Node(host, (server, sentinel), find_binary(), wanted.folder / host, wanted.password)
                for host in HOSTS
            ]
        )
        self._watch = Watch(wanted.down_after_ms)

    @property
    @override
    def url(self) -> str:
        return self._set.url

    @override
    async def start(self) -> None:
        await self._set.start_servers(SERVER_SETTINGS)
        await self._set.start_sentinels(self._watch)

    @override
    async def healthy(self) -> None:
        await self._set.healthy()

    @override
    def members(self) -> Sequence[Member]:
        nodes = list(enumerate(self._set.nodes, 1))
        return [
            *(self._server(f"redis-{number}", node) for number, node in nodes),
            *(self._sentinel(f"sentinel-{number}", node) for number, node in nodes),
        ]

    @override
    async def roles(self) -> dict[str, str]:
        primary = await self._set.primary()
        return {
            f"redis-{number}": "primary" if node is primary else "replica"
            for number, node in enumerate(self._set.nodes, 1)
        }

    @override
    async def switch_over(self, shard: str) -> dict[str, str]:
        # Without a name the command asks the Sentinels itself, as on a real site.
        raise EngineError(f"there is no {shard}: this cluster has Sentinels and no shards")

    @override
    def stop(self) -> None:
        self._set.stop()

    def _server(self, name: str, node: Node) -> Member:
        async def start() -> None:
            node.start_again((await self._set.primary()).address)
            await node.promotable()

        return Member(name, node.address, lambda: node.server, lambda: asyncio.run(start()))

    def _sentinel(self, name: str, node: Node) -> Member:
        return Member(
            name,
            node.sentinel_address,
            lambda: node.sentinel,
            lambda: node.start_sentinel(node.address, self._watch),
        )


class _Shards(Redis):
    """Three primaries with a replica each."""

    def __init__(self, wanted: Wanted) -> None:
        settings = {"cluster-node-timeout": str(wanted.down_after_ms)}
        ports = Ports(*free_ports(len(_SHARD_PORTS), _SHARD_PORTS))
        nodes = shard_nodes(find_binary(), wanted.folder, ports, settings, wanted.password)
        self._shards = RedisShards(nodes, wanted.password)

    @property
    @override
    def url(self) -> str:
        return self._shards.url

    @override
    async def start(self) -> None:
        self._shards.start()
        await self._shards.form()

    @override
    async def healthy(self) -> None:
        await self._shards.healthy()

    @override
    def members(self) -> Sequence[Member]:
        return [self._member(node) for node in self._shards.nodes]

    @override
    async def roles(self) -> dict[str, str]:
        primaries = await self._shards.primaries()
        return {
            self._name(node): f"{self._shard(node)}:{'primary' if node in primaries else 'replica'}"
            for node in self._shards.nodes
        }

    @override
    async def switch_over(self, shard: str) -> dict[str, str]:
        known = {f"shard-{number}": number for number in range(1, SHARDS + 1)}
        if shard and shard not in known:
            raise EngineError(f"there is no {shard}; there are {', '.join(known)}")
        meant = [known[shard]] if shard else known.values()
        moved = [await self._shards.hand_over(number) for number in meant]
        return {self._name(node): f"{self._shard(node)}:primary" for node in moved}

    @override
    def stop(self) -> None:
        self._shards.stop()

    def _member(self, node: ShardNode) -> Member:
        def start() -> None:
            asyncio.run(self._shards.start_again(node))

        return Member(self._name(node), node.address, lambda: node.server, start)

    def _name(self, node: ShardNode) -> str:
        return f"redis-{self._shards.nodes.index(node) + 1}"

    def _shard(self, node: ShardNode) -> str:
        return f"shard-{self._shards.shard_of(node)}"
