"""What a cluster consists of, each by its name; what can be done to it is the same for all."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence

from stepup.adapters.embedded.family import ProcessId, State, send_to_family
from stepup.adapters.embedded.processes import ChildProcess

Address = tuple[str, int]

_SEEN_WITHIN = 1.0


class Member:
    """One process with its name: an engine, an instance, the demo.

    `process` tells which process it is now, `start` starts it again after it was killed.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        process: Callable[[], ChildProcess | None],
        start: Callable[[], None],
    ) -> None:
        self.name = name
        self.address = address
        self._process = process
        self._start = start

    @property
    def kind(self) -> str:
        """What it is, as `redis`."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def identity(self) -> ProcessId | None:
        """The process, if it has not ended."""
        process = self._process()
        return ProcessId.of(process.pid) if process is not None and process.alive else None

    @property
    def state(self) -> State:
        """What it does now."""
        identity = self.identity
        return "gone" if identity is None else identity.state

    def kill(self) -> None:
        """End it with all of its children, without a goodbye."""
        self._send(signal.SIGKILL)
        process = self._process()
        if process is not None:
            process.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Keep it from running, with its connections open."""
        self._send(signal.SIGSTOP)
        self._wait_for("frozen")

    def resume(self) -> None:
        """Let it run again."""
        self._send(signal.SIGCONT)
        self._wait_for("running")

    def start(self) -> None:
        """Start it again; what it was when it ended, it finds out by itself."""
        self._start()

    def _wait_for(self, state: State) -> None:
        # The kernel does it a moment later.
        deadline = time.monotonic() + _SEEN_WITHIN
        while self.state != state and time.monotonic() < deadline:
            time.sleep(0.005)

    def _send(self, wanted: signal.Signals) -> None:
        identity = self.identity
        if identity is not None:
            send_to_family(identity.pid, wanted)


class Members:
    """All of them, found by name, by number (`redis-1`) or by role (`redis:primary`)."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = {member.name: member for member in members}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def find(self, name: str, roles: dict[str, str]) -> Member | None:
        """Return who is meant; `roles` says which member has which role now."""
        kind, colon, role = name.partition(":")
        if not colon:
            return self._members.get(name)
        having = (m for m in self if m.kind == kind and roles.get(m.name) == role)
        return next(having, None)
