"""The servers under measurement: started, and asked how much CPU time they have used."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_TICK_NS = 10_000_000


class Cpu(NamedTuple):
    """CPU time that the parts of a service have used so far, in nanoseconds."""

    server: int
    redis: int = 0
    postgres: int = 0

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))


class Service(NamedTuple):
    """The processes of one service, and where it listens."""

    port: int
    server: int
    redis: int = 0
    postgres: int = 0

    def cpu(self) -> Cpu:
        """Read what they have used; PostgreSQL is all of its processes."""
        return Cpu(
            server=_used(self.server),
            redis=_used(self.redis) if self.redis else 0,
            postgres=_used_by_family(self.postgres) if self.postgres else 0,
        )


def find_service(port: int, parent: int) -> Service:
    """Find the worker and the engines among the children of `stepup dev`."""
    names = {pid: _command(pid) for pid in _children(parent)}

    def named(*words: str) -> int:
        return next(pid for pid, name in names.items() if any(word in name for word in words))

    return Service(
        port=port,
        server=named("cli.worker"),
        redis=named("valkey", "redis-server"),
        postgres=named("postgres"),
    )


@contextmanager
def bare_loop() -> Iterator[Service]:
    """Run the bare loop until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        port, fd = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", "tests.bench.loop", str(fd)]
        with subprocess.Popen(command, pass_fds=[fd]) as process:
            try:
                yield Service(port=port, server=process.pid)
            finally:
                process.terminate()
                process.wait(10)


def wait_until_quiet(service: Service, seconds: float = 5.0) -> None:
    """Return when the service has nothing left to do from before."""
    deadline = time.monotonic() + seconds
    before = service.cpu()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = service.cpu()
        if sum(now.since(before)) < _TICK_NS:
            return
        before = now


def _used(pid: int) -> int:
    try:
        # Nanoseconds of every thread; the ticks of `stat` are too coarse for a short round.
        return sum(
            int(path.read_text().split()[0])
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
        ) or _ticks(pid)
    except OSError:
        return 0  # it ended meanwhile


def _used_by_family(pid: int) -> int:
    """Add up a process, its children, and those of its children that have ended."""
    return sum(map(_used, [pid, *_children(pid)])) + _ticks(pid, of_the_dead=True)


def _ticks(pid: int, *, of_the_dead: bool = False) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user = 13 if of_the_dead else 11
    return (int(fields[user]) + int(fields[user + 1])) * _TICK_NS


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
