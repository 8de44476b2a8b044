"""A primary, two replicas and three Sentinels as processes of this machine, to break and to mend.

Each node has an address of its own on the loopback network (Linux accepts all of 127/8), with its
Sentinel beside it, as on three hosts. Settings are those of docs/operations.md.
"""

import contextlib
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from stepup.adapters.embedded.processes import ChildProcess
from stepup.adapters.embedded.redis_hosts import READY_WITHIN, reached_at, start_with_file
from stepup.adapters.redis.endpoint import Address, Endpoint
from stepup.adapters.redis.operator import tell, until

NAME = "stepup"
# What Sentinel takes as normal; with 0 a server is never promoted.
_PRIORITY = 100


class Watch(NamedTuple):
    """How the Sentinels watch: when a server counts as down, and how long a failover may take."""

    down_after_ms: int = 2_000
    failover_timeout_ms: int = 10_000
    quorum: int = 2


class Node:
    """A server and the Sentinel beside it; a configuration that they wrote themselves is kept."""

    def __init__(
        self, host: str, ports: tuple[int, int], binary: Path, folder: Path, password: str = ""
    ) -> None:
        self.address: Address = (host, ports[0])
        self.sentinel_address: Address = (host, ports[1])
        self._binary = binary
        self._folder = folder
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.password = password
        self.server: ChildProcess | None = None
        self.sentinel: ChildProcess | None = None

    @property
    def folder(self) -> Path:
        """Where its files and logs are."""
        return self._folder

    @property
    def endpoint(self) -> Endpoint:
        """The server, as an operator reaches it."""
        return reached_at(self.address, self.password)

    @property
    def sentinel_endpoint(self) -> Endpoint:
        """The Sentinel, as an operator reaches it."""
        return reached_at(self.sentinel_address, self.password)

    def start(self, primary: Address | None, settings: Mapping[str, str]) -> None:
        """Start the server, as a replica when a primary is given."""
        host, port = self.address
        lines = {
            **settings,
            "bind": host,
            "port": str(port),
            "dir": str(self._folder),
            "replica-announce-ip": host,
        }
        if self.password:
            lines |= {"requirepass": self.password, "masterauth": self.password}
        if primary is not None:
            lines |= {"replicaof": f"{primary[0]} {primary[1]}"}
        self.server = self._run("server", lines)

    def start_again(self, primary: Address) -> None:
        """Start a server that died, as docs/operations.md says: not as what it was.

        Its own file may say that it is a primary, and a Sentinel that loses the others would then
        promote it with the data of its last hour. It begins as a replica of whoever is the primary
        now, and `promotable` says when it may be chosen again.
        """
        follow = () if primary == self.address else ("--replicaof", *map(str, primary))
        self.server = self._run("server", {}, *follow, "--replica-priority", "0")

    async def promotable(self) -> None:
        """Let a server that was started again be chosen, once it has what the others have."""

        async def in_step() -> bool:
            role = await tell(self.endpoint, "ROLE")
            return bool(role[0] == b"master" or role[3] == b"connected")

        await until(in_step, READY_WITHIN, "a replica in step")
        await tell(self.endpoint, "CONFIG", "SET", "replica-priority", _PRIORITY)

    def start_sentinel(self, primary: Address, watch: Watch) -> None:
        """Start the Sentinel."""
        host, port = self.sentinel_address
        lines = {
            "bind": host,
            "port": str(port),
            "dir": str(self._folder),
            "protected-mode": "no",
            "sentinel announce-ip": host,
            "sentinel resolve-hostnames": "no",
            "sentinel deny-scripts-reconfig": "yes",
            f"sentinel monitor {NAME}": f"{primary[0]} {primary[1]} {watch.quorum}",
            f"sentinel down-after-milliseconds {NAME}": str(watch.down_after_ms),
            f"sentinel failover-timeout {NAME}": str(watch.failover_timeout_ms),
            f"sentinel parallel-syncs {NAME}": "1",
        }
        if self.password:
            lines |= {"requirepass": self.password, f"sentinel auth-pass {NAME}": self.password}
        self.sentinel = self._run("sentinel", lines, "--sentinel")

    def send(self, wanted: signal.Signals) -> None:
        """Send the server a signal."""
        if self.server is not None:
            self.server.send(wanted)

    def send_to_sentinel(self, wanted: signal.Signals) -> None:
        """Send the Sentinel a signal."""
        if self.sentinel is not None:
            self.sentinel.send(wanted)

    def stop(self) -> None:
        """End both."""
        for process in (self.sentinel, self.server):
            if process is not None:
                process.stop(signal.SIGKILL)

    def _run(self, kind: str, lines: Mapping[str, str], *flags: str) -> ChildProcess:
        return start_with_file(self._binary, self._folder / f"{kind}.conf", lines, *flags)


class RedisSet:
    """Three nodes; `url` is what an operator would configure."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)

    @property
    def url(self) -> str:
        """The set as a `redis+sentinel://` URL."""
        hosts = ",".join(f"{node.sentinel_endpoint}" for node in self.nodes)
        password = self.nodes[0].password
        login, query = (f":{password}@", f"?sentinel_password={password}") if password else ("", "")
        return f"redis+sentinel://{login}{hosts}/{NAME}/0{query}"

    async def start_servers(self, settings: Mapping[str, str]) -> None:
        """Start the first node as the primary of the others, and wait until they replicate."""
        first = self.nodes[0]
        for node in self.nodes:
            node.start(None if node is first else first.address, settings)

        async def replicated() -> bool:
            return len((await tell(first.endpoint, "ROLE"))[2]) == len(self.nodes) - 1

        await until(replicated, READY_WITHIN, "replicas")

    async def start_sentinels(self, watch: Watch) -> None:
        """Start the Sentinels of a set that replicates, and wait until they answer."""
        # Not before: a Sentinel looks for replicas when it starts, and then every ten seconds.
        for node in self.nodes:
            node.start_sentinel(self.nodes[0].address, watch)

        async def answering() -> bool:
            return all([await tell(node.sentinel_endpoint, "PING") for node in self.nodes])

        await until(answering, READY_WITHIN, "Sentinels that answer")

    async def primary(self) -> Node:
        """Return the node that most Sentinels name; a `ConnectionError` if none answers."""
        named = [await self._named_by(node) for node in self.nodes]
        known = Counter(address for address in named if address is not None)
        if not known:
            raise ConnectionError("no Sentinel answers")
        ((address, _),) = known.most_common(1)
        return next(node for node in self.nodes if node.address == address)

    async def replicas(self) -> list[Node]:
        """Return the others."""
        primary = await self.primary()
        return [node for node in self.nodes if node is not primary]

    async def healthy(self, seconds: float = READY_WITHIN) -> None:
        """Wait until one primary has two replicas in step and all Sentinels know it all."""
        await until(self._is_healthy, seconds, "a healthy set")

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.stop()

    async def _named_by(self, node: Node) -> Address | None:
        with contextlib.suppress(RedisError, OSError):
            ask = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            reply = await tell(node.sentinel_endpoint, *ask, seconds=0.3)
            return reply[0].decode(), int(reply[1])
        return None

    async def _is_healthy(self) -> bool:
        primary = await self.primary()
        role = await tell(primary.endpoint, "ROLE")
        others = len(self.nodes) - 1
        if role[0] != b"master" or len(role[2]) != others:
            return False
        for node in self.nodes:
            known = await tell(node.sentinel_endpoint, "SENTINEL", "MASTER", NAME)
            if await self._named_by(node) != primary.address or known[b"flags"] != b"master":
                return False
            if int(known[b"num-other-sentinels"]) != others:
                return False
            replicas = await tell(node.sentinel_endpoint, "SENTINEL", "REPLICAS", NAME)
            if len([replica for replica in replicas if _is_sound(replica)]) != others:
                return False
        written = await tell(primary.endpoint, "SET", "su:test:healthy", 1, "PX", 1000)
        return bool(written == b"OK")


def _is_sound(replica: Mapping[bytes, Any]) -> bool:
    return (replica[b"flags"], replica[b"master-link-status"]) == (b"slave", b"ok")
