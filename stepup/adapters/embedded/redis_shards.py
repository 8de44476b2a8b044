"""A Cluster of three shards, a primary and a replica each, as processes to break and to mend.

A shard's two nodes are on different hosts, so that it outlives the loss of one. Each node is told
its bus port, since the usual one, 10,000 above, does not exist for a high port.
"""

import asyncio
import contextlib
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.exceptions import RedisError

from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.adapters.embedded.redis_hosts import (
    HOSTS,
    READY_WITHIN,
    SERVER_SETTINGS,
    reached_at,
    start_with_file,
)
from stepup.adapters.redis.cluster_map import ClusterMap, Member, read_nodes
from stepup.adapters.redis.endpoint import Address, Endpoint
from stepup.adapters.redis.operator import NotInTimeError, tell, until

SHARDS = 3
_SEEN_WITHIN = 0.3
_IS_HEALTHY_WITHIN = 1.0
# What is not to be repeated gets time on a busy machine.
_OBEYED_WITHIN = 10.0


class Ports(NamedTuple):
    """Those that are the same on every host: of the two nodes there, and of their buses."""

    primary: int
    replica: int
    primary_bus: int
    replica_bus: int


class ShardNode:
    """A server of the Cluster; the configurations that it was given and wrote itself are kept."""

    def __init__(
        self,
        address: Address,
        bus_port: int,
        folder: Path,
        binary: Path,
        settings: Mapping[str, str],
    ) -> None:
        self.address = address
        self.bus_port = bus_port
        self._folder = folder
        self._binary = binary
        self._settings = settings
        self.server: ChildProcess | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server, as an operator reaches it."""
        return reached_at(self.address, self._settings.get("requirepass", ""))

    def start(self) -> None:
        """Start the server, also again after it died: the others tell it what it is now."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        host, port = self.address
        lines = {
            **self._settings,
            "bind": host,
            "port": str(port),
            "cluster-port": str(self.bus_port),
            "cluster-announce-ip": host,
            "dir": str(self._folder),
        }
        self.server = start_with_file(self._binary, self._folder / "server.conf", lines)

    def send(self, wanted: signal.Signals) -> None:
        """Send the server a signal."""
        if self.server is not None:
            self.server.send(wanted)


class RedisShards:
    """Six nodes: `nodes[n]` begins as the primary of its shard, `nodes[n + 3]` as the replica.

    A node never leaves its shard, and shards are numbered from 1.
    """

    def __init__(self, nodes: Sequence[ShardNode], password: str = "") -> None:
        self.nodes = tuple(nodes)
        self._password = password

    @property
    def url(self) -> str:
        """The Cluster as a `redis+cluster://` URL."""
        hosts = ",".join(f"{host}:{port}" for host, port in (n.address for n in self.nodes))
        login = f":{self._password}@" if self._password else ""
        return f"redis+cluster://{login}{hosts}"

    def at(self, address: Address) -> ShardNode:
        """Return the node at an address."""
        return next(node for node in self.nodes if node.address == address)

    def beside(self, node: ShardNode) -> ShardNode:
        """Return the other node of its shard."""
        return self.nodes[(self.nodes.index(node) + SHARDS) % len(self.nodes)]

    def shard_of(self, node: ShardNode) -> int:
        """Return the number of a node's shard."""
        return self.nodes.index(node) % SHARDS + 1

    async def shape(self, besides: ShardNode | None = None) -> ClusterMap:
        """Return who serves what, as the newest configuration that anybody knows has it.

        Raises:
            ConnectionError: If no node answers.
        """
        views = await self._views(node for node in self.nodes if node is not besides)
        if not views:
            raise ConnectionError("no node answers")
        return ClusterMap.merged(views)

    async def primaries(self, besides: ShardNode | None = None) -> list[ShardNode]:
        """Return the nodes that serve something, shard by shard."""
        serving = [self.at(each) for each in (await self.shape(besides)).primaries()]
        return sorted(serving, key=self.shard_of)

    def start(self) -> None:
        """Start the servers, which do not know each other yet."""
        for node in self.nodes:
            node.start()

    async def form(self) -> None:
        """Make one Cluster of the nodes; `healthy` says when it is one."""
        first = self.nodes[0]

        async def answering() -> bool:
            return all([await tell(node.endpoint, "PING") for node in self.nodes])

        await until(answering, READY_WITHIN, "nodes that answer")
        for number, node in enumerate(self.nodes):
            await _order(node, "SET-CONFIG-EPOCH", number + 1)
            if number < SHARDS:
                bounds = (number * SLOTS // SHARDS, (number + 1) * SLOTS // SHARDS - 1)
                await _order(node, "ADDSLOTSRANGE", *bounds)
            if node is not first:
                await _order(node, "MEET", *first.address, first.bus_port)

        async def acquainted() -> bool:
            texts = [await tell(node.endpoint, "CLUSTER", "NODES") for node in self.nodes]
            return all(len(text.splitlines()) == len(self.nodes) for text in texts) and not any(
                b"handshake" in text for text in texts
            )

        await until(acquainted, READY_WITHIN, "nodes that know each other")
        for node in self.nodes[:SHARDS]:
            name = (await tell(node.endpoint, "CLUSTER", "MYID")).decode()
            await _order(self.beside(node), "REPLICATE", name)

    async def start_again(self, node: ShardNode) -> None:
        """Start a server that died; once it was the last that was away, wait until all is well."""
        node.start()

        async def answering() -> bool:
            return bool(await tell(node.endpoint, "PING"))

        await until(answering, READY_WITHIN, "a node that answers")
        if len(await self._views(self.nodes)) == len(self.nodes):
            await self.healthy()

    async def hand_over(self, shard: int) -> ShardNode:
        """Let the replica of a shard take over without losing a write, and return it.

        Raises:
            EngineError: If somebody is away; then nothing is done.
        """
        try:
            await self.healthy(_IS_HEALTHY_WITHIN)
        except NotInTimeError as error:
            raise EngineError("the Cluster is not healthy; nothing was done") from error
        old = (await self.primaries())[shard - 1]
        new = self.beside(old)
        await _order(new, "FAILOVER")
        await self.replaced(old)
        await self.healthy()
        return new

    async def replaced(self, old: ShardNode, seconds: float = 10.0) -> None:
        """Wait until others serve everything that a node served."""

        async def served() -> bool:
            primaries = await self.primaries(besides=old)
            return len(primaries) == SHARDS and old not in primaries

        await until(served, seconds, "a promotion")

    async def healthy(self, seconds: float = READY_WITHIN) -> None:
        """Wait until every node sees three primaries, each with a replica in step."""
        await until(self._is_healthy, seconds, "a healthy Cluster")

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            if node.server is not None:
                node.server.stop(signal.SIGKILL)

    async def _views(self, nodes: Iterable[ShardNode]) -> list[tuple[Member, ...]]:
        heard = await asyncio.gather(*map(_view, nodes))
        return [view for view in heard if view is not None]

    async def _is_healthy(self) -> bool:
        return all([await _sees_all_well(node) for node in self.nodes])


def shard_nodes(
    binary: Path, folder: Path, ports: Ports, settings: Mapping[str, str], password: str = ""
) -> list[ShardNode]:
    """Return six nodes on the three hosts, none started; `settings` are besides the usual ones."""
    lines = {
        **SERVER_SETTINGS,
        "cluster-enabled": "yes",
        "cluster-require-full-coverage": "no",
        # Each shard keeps its two nodes whatever happens.
        "cluster-allow-replica-migration": "no",
        **settings,
    }
    if password:
        lines |= {"requirepass": password, "masterauth": password}
    primaries = [(host, ports.primary, ports.primary_bus) for host in HOSTS]
    replicas = [(host, ports.replica, ports.replica_bus) for host in (*HOSTS[1:], HOSTS[0])]
    return [
        ShardNode((host, port), bus, folder / f"{host}-{port}", binary, lines)
        for host, port, bus in (*primaries, *replicas)
    ]


async def _view(node: ShardNode) -> tuple[Member, ...] | None:
    with contextlib.suppress(RedisError, OSError):
        text = await tell(node.endpoint, "CLUSTER", "NODES", seconds=_SEEN_WITHIN)
        return read_nodes(text.decode(), node.address, by_name=False)
    return None


async def _order(node: ShardNode, *command: str | int) -> None:
    await tell(node.endpoint, "CLUSTER", *command, seconds=_OBEYED_WITHIN)


async def _sees_all_well(node: ShardNode) -> bool:
    text = (await tell(node.endpoint, "CLUSTER", "NODES")).decode()
    members = read_nodes(text, node.address, by_name=False)
    of = [member.replica_of for member in members if member.replica_of is not None]
    owners = [member.id for member in members if member.claims]
    if "fail" in text or sorted(of) != sorted(owners) or len(owners) != SHARDS:
        return False
    if b"cluster_state:ok" not in await tell(node.endpoint, "CLUSTER", "INFO"):
        return False
    role = await tell(node.endpoint, "ROLE")
    in_step = len(role[2]) == 1 if role[0] == b"master" else role[3] == b"connected"
    return bool(in_step)
