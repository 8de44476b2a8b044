"""A Cluster of three shards with one replica each as real processes, to be broken and mended.

Settings are those of docs/operations.md, with a shorter time until a node counts as failed. A bus
port is given to each node, since the usual one, 10,000 above, does not exist for a high port.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot
from redis.exceptions import RedisError

from stepup.adapters.embedded.processes import ChildProcess
from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_set import READY_WITHIN, SERVER_SETTINGS
from stepup.adapters.redis.cluster_map import Member, read_nodes
from stepup.adapters.redis.endpoint import Address
from tests.support.redis_cluster import tell, until

SHARDS = 3
NODE_TIMEOUT_MS = 1_000
_HOSTS = [f"127.0.0.{last}" for last in range(31, 31 + 2 * SHARDS)]
_SETTINGS = SERVER_SETTINGS | {
    "cluster-enabled": "yes",
    "cluster-node-timeout": str(NODE_TIMEOUT_MS),
    "cluster-require-full-coverage": "no",
}


class ClusterNode:
    """A server of the Cluster; the configuration that it wrote itself is kept."""

    def __init__(self, host: str, binary: Path, folder: Path) -> None:
        port, self.bus_port = _free_ports(host)
        self.address: Address = (host, port)
        self._binary = binary
        self._folder = folder
        self.server: ChildProcess | None = None

    def start(self, settings: Mapping[str, str]) -> None:
        """Start the server."""
        host, port = self.address
        self._folder.mkdir(exist_ok=True)
        lines = {
            **settings,
            "bind": host,
            "port": str(port),
            "cluster-port": str(self.bus_port),
            "cluster-announce-ip": host,
            "dir": str(self._folder),
        }
        path = self._folder / "server.conf"
        path.write_text("".join(f"{key} {value or chr(34) * 2}\n" for key, value in lines.items()))
        command = [str(self._binary), str(path)]
        log = self._folder / "server.log"
        self.server = ChildProcess(command, log=log, death_signal=signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Say whether it runs, frozen or not."""
        return self.server is not None and self.server.alive

    def send(self, wanted: signal.Signals) -> None:
        """Send it a signal."""
        assert self.server is not None
        self.server.send(wanted)


class Shape(NamedTuple):
    """Who is who, as one node says."""

    primaries: tuple[Member, ...]
    replicas: tuple[Member, ...]


class ValkeyCluster:
    """Six nodes: `nodes[n]` begins as the primary of shard n, `nodes[n + 3]` as its replica."""

    def __init__(self, nodes: Sequence[ClusterNode], settings: Mapping[str, str]) -> None:
        self.nodes = tuple(nodes)
        self.settings = settings

    @property
    def url(self) -> str:
        """The Cluster as a `redis+cluster://` URL."""
        hosts = ",".join(f"{host}:{port}" for host, port in (n.address for n in self.nodes))
        return f"redis+cluster://{hosts}"

    async def shape(self, besides: ClusterNode | None = None) -> Shape:
        """Return who is who, by the first node that answers."""
        for node in (node for node in self.nodes if node is not besides):
            with contextlib.suppress(RedisError, OSError):
                text = await tell(node.address, "CLUSTER", "NODES", seconds=0.3)
                members = read_nodes(text.decode(), node.address, by_name=False)
                return Shape(
                    tuple(each for each in members if each.claims),
                    tuple(each for each in members if each.replica_of is not None),
                )
        raise ConnectionError("no node answers")

    async def serving(self, key: str) -> ClusterNode:
        """Return the primary of a key, as the newest configuration has it."""
        slot = key_slot(key.encode())
        found: list[tuple[int, Address]] = []
        for node in self.nodes:
            with contextlib.suppress(RedisError, OSError):
                text = await tell(node.address, "CLUSTER", "NODES", seconds=0.3)
                found += [
                    (member.epoch, member.address)
                    for member in read_nodes(text.decode(), node.address, by_name=False)
                    for claim in member.claims
                    if claim.first <= slot <= claim.last
                ]
        return self.at(max(found)[1])

    async def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """Return the one replica of a primary."""
        primaries, replicas = await self.shape()
        (its_id,) = [each.id for each in primaries if each.address == primary.address]
        (address,) = [each.address for each in replicas if each.replica_of == its_id]
        return self.at(address)

    def at(self, address: Address) -> ClusterNode:
        """Return the node at an address."""
        return next(node for node in self.nodes if node.address == address)

    async def migrate(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
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

    async def replaced(self, old: ClusterNode, seconds: float = 10.0) -> None:
        """Wait until others serve everything that a node served."""

        async def served() -> bool:
            primaries = [self.at(each.address) for each in (await self.shape(besides=old))[0]]
            return len(primaries) == SHARDS and old not in primaries

        await until(served, seconds, "a promotion")

    async def healthy(self, seconds: float = READY_WITHIN) -> None:
        """Wait until every node sees three primaries, each with a replica in step."""
        await until(self._is_healthy, seconds, "a healthy Cluster")

    async def mend(self) -> None:
        """Resume what was frozen, start what was killed, and wait until all is well."""
        for node in self.nodes:
            if node.alive:
                node.send(signal.SIGCONT)
            else:
                node.start(self.settings)
        await self.healthy()

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            if node.server is not None:
                node.server.stop(signal.SIGKILL)

    async def _is_healthy(self) -> bool:
        for node in self.nodes:
            text = (await tell(node.address, "CLUSTER", "NODES")).decode()
            members = read_nodes(text, node.address, by_name=False)
            of = [member.replica_of for member in members if member.replica_of is not None]
            owners = [member.id for member in members if member.claims]
            if "fail" in text or sorted(of) != sorted(owners) or len(owners) != SHARDS:
                return False
            if b"cluster_state:ok" not in await tell(node.address, "CLUSTER", "INFO"):
                return False
            role = await tell(node.address, "ROLE")
            if role[0] == b"master" and len(role[2]) != 1:
                return False
            if role[0] == b"slave" and role[3] != b"connected":
                return False
        return True


async def form(cluster: ValkeyCluster) -> None:
    """Make one Cluster of the nodes."""
    first = cluster.nodes[0]

    async def answering() -> bool:
        return all([await tell(node.address, "PING") for node in cluster.nodes])

    await until(answering, READY_WITHIN, "nodes that answer")
    for number, node in enumerate(cluster.nodes):
        await _order(node, "SET-CONFIG-EPOCH", number + 1)
        if number < SHARDS:
            bounds = (number * SLOTS // SHARDS, (number + 1) * SLOTS // SHARDS - 1)
            await _order(node, "ADDSLOTSRANGE", *bounds)
        if node is not first:
            await _order(node, "MEET", *first.address, first.bus_port)

    async def acquainted() -> bool:
        texts = [await tell(node.address, "CLUSTER", "NODES") for node in cluster.nodes]
        return all(len(text.splitlines()) == 2 * SHARDS for text in texts) and not any(
            b"handshake" in text for text in texts
        )

    await until(acquainted, READY_WITHIN, "nodes that know each other")
    for number in range(SHARDS):
        primary = (await tell(cluster.nodes[number].address, "CLUSTER", "MYID")).decode()
        await _order(cluster.nodes[number + SHARDS], "REPLICATE", primary)
    await cluster.healthy()


async def _order(node: ClusterNode, *command: str | int) -> None:
    # Not to be repeated, so it gets time on a busy machine.
    await tell(node.address, "CLUSTER", *command, seconds=10)


@contextmanager
def running_valkey_cluster(
    binary: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[ValkeyCluster]:
    """Run a Cluster on ports that nobody uses; not for use inside an event loop."""
    folder = Path(tempfile.mkdtemp(prefix="stepup-slots-"))
    program = binary or find_binary()
    nodes = [ClusterNode(host, program, folder / host) for host in _HOSTS]
    cluster = ValkeyCluster(nodes, _SETTINGS | dict(settings or {}))
    try:
        for node in nodes:
            node.start(cluster.settings)
        asyncio.run(form(cluster))
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(host: str) -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((host, 0))
        other.bind((host, 0))
        return one.getsockname()[1], other.getsockname()[1]
