"""A process with all that descend from it: frozen, resumed and killed at one moment.

A server's children outlive it: a postmaster that is killed alone leaves backends that still
commit (RELIABILITY section 4).
"""

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

State = Literal["running", "frozen", "gone"]


class ProcessId(NamedTuple):
    """A process that is meant, and no later one under the same number."""

    pid: int
    started: int
    """In clock ticks after the boot of the machine."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Return whoever has this number now.

        Raises:
            ProcessLookupError: If nobody has.
        """
        fields = _stat(pid)
        if fields is None:
            raise ProcessLookupError(pid)
        return cls(pid, int(fields[_STARTED]))

    @property
    def state(self) -> State:
        """What it does now."""
        fields = _stat(self.pid)
        if fields is None or int(fields[_STARTED]) != self.started or fields[0] in "ZX":
            return "gone"
        return "frozen" if fields[0] in "Tt" else "running"

    def send(self, wanted: signal.Signals) -> None:
        """Send it a signal, or nothing when it is gone: another one may have its number."""
        with suppress(ProcessLookupError):
            # Whoever the descriptor names is looked at afterwards, so nobody comes between.
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.state != "gone":
                    signal.pidfd_send_signal(descriptor, wanted)
            finally:
                os.close(descriptor)


def send_to_family(pid: int, wanted: signal.Signals) -> None:
    """Send a signal to a process and all of its descendants, as if at one moment."""
    # While it stands still it has no more children.
    if wanted is signal.SIGKILL:
        with suppress(ProcessLookupError):
            ProcessId.of(pid).send(signal.SIGSTOP)
    for member in _family(pid):
        member.send(wanted)


# Fields of /proc/PID/stat after the name, which may hold anything.
_PARENT = 1
_STARTED = 19


def _family(pid: int) -> list[ProcessId]:
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields is not None:
            children[int(fields[_PARENT])].append(int(path.name))
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        with suppress(ProcessLookupError):
            found.append(ProcessId.of(each))
        waiting += children[each]
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
