"""Servers and Sentinels in network namespaces of their own, on one bridge, to be parted.

A pair is parted in one direction by telling the sender a wrong hardware address for the receiver:
packets leave and nobody takes them, as on a broken path. Neither filters nor queues are needed.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_hosts import SERVER_SETTINGS
from stepup.adapters.embedded.redis_set import NAME, Node, Watch
from tests.support.redis_cluster import FAILOVER_TIMEOUT_MS, RedisCluster, start, tell, until

_NET = "10.231.77"
_HOME = f"{_NET}.254"
_NOBODY = "02:00:00:00:00:99"
_SERVERS = tuple(f"{_NET}.{n}" for n in (1, 2, 3))
_SENTINELS = tuple(f"{_NET}.{n}" for n in (11, 12, 13))
_PORTS = (6379, 26379)


def why_not() -> str | None:
    """Say why namespaces cannot be used here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need ip"
    probe = f"su{os.getpid()}p"
    try:
        _ip("netns", "add", probe)
        _ip("link", "add", probe, "type", "bridge")
    except subprocess.CalledProcessError as error:
        return f"no network namespaces: {error.stderr.strip()}"
    finally:
        for kind in ("netns", "link"):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(kind, "del", probe)
    return None


class Network:
    """The namespaces, by address."""

    def __init__(self) -> None:
        self._prefix = f"su{os.getpid()}"
        self._bridge = f"{self._prefix}b"

    def build(self) -> None:
        """Make all of it."""
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{_HOME}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for address in (*_SERVERS, *_SENTINELS):
            name = self.namespace(address)
            _ip("netns", "add", name)
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", self._bridge, "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove all of it."""
        for address in (*_SERVERS, *_SENTINELS):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", self.namespace(address))
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._bridge)

    def namespace(self, address: str) -> str:
        """Return the name of a namespace, and of its end at the bridge."""
        return f"{self._prefix}n{address.rpartition('.')[2]}"

    def isolate(self, *addresses: str) -> None:
        """Unplug hosts."""
        for address in addresses:
            _ip("link", "set", self.namespace(address), "down")

    def part(self, some: Iterable[str], others: Sequence[str], *, one_way: bool = False) -> None:
        """Let nothing pass from some to others, nor back unless it is one way."""
        for one in some:
            for other in others:
                self._lose(one, other)
                if not one_way:
                    self._lose(other, one)

    def heal(self) -> None:
        """Let everything pass."""
        for address in (*_SERVERS, *_SENTINELS):
            name = self.namespace(address)
            _ip("link", "set", name, "up")
            _ip("-n", name, "neigh", "flush", "dev", "eth0", "nud", "permanent")

    def _lose(self, sender: str, receiver: str) -> None:
        wrong = ("lladdr", _NOBODY, "dev", "eth0", "nud", "permanent")
        _ip("-n", self.namespace(sender), "neigh", "replace", receiver, *wrong)


class NetCluster(RedisCluster):
    """A set whose hosts can be lost and parted; the tests themselves sit at the bridge."""

    def __init__(self, nodes: Sequence[Node], network: Network, watch: Watch) -> None:
        super().__init__(nodes)
        self.network = network
        self._watch = watch

    @override
    async def mend(self) -> None:
        self.network.heal()
        for node in self.nodes:
            if node.sentinel and not node.sentinel.alive:
                node.start_sentinel((await self.primary()).address, self._watch)

        async def answering() -> bool:
            return all([await tell(node.sentinel_address, "PING") for node in self.nodes])

        await until(answering, 10, f"Sentinels of {NAME}")
        await super().mend()


@contextmanager
def running_net_cluster(down_after_ms: int, binary: Path | None = None) -> Iterator[NetCluster]:
    """Run three servers and three Sentinels, each in a namespace of its own."""
    folder, network = Path(tempfile.mkdtemp(prefix="stepup-net-")), Network()
    watch = Watch(down_after_ms, FAILOVER_TIMEOUT_MS)
    cluster = None
    try:
        network.build()
        nodes = [
            _node(network, pair, folder, binary or find_binary())
            for pair in zip(_SERVERS, _SENTINELS, strict=True)
        ]
        cluster = NetCluster(nodes, network, watch)
        cluster.down_after_ms = down_after_ms
        asyncio.run(start(cluster, SERVER_SETTINGS, watch))
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop()
        network.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _node(network: Network, pair: tuple[str, str], folder: Path, binary: Path) -> Node:
    server, sentinel = pair
    program = folder / f"{server}.sh"
    inside = "exec ip netns exec"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--sentinel) {inside} {network.namespace(sentinel)} {binary} "$@";; esac\n'
        f'{inside} {network.namespace(server)} {binary} "$@"\n'
    )
    program.chmod(0o755)
    node = Node(server, _PORTS, program, folder / server)
    node.sentinel_address = (sentinel, _PORTS[1])
    return node


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)  # noqa: S607
