"""Signals reach the process that is meant, with all of its children, and never a later one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from stepup.adapters.embedded.family import ProcessId, send_to_family

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process whose child has a session of its own, as PostgreSQL's have."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def child_of(parent: subprocess.Popen[str]) -> ProcessId:
    return ProcessId.of(int(parent.stdout.readline()))


def becomes(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_family_is_frozen_resumed_and_killed_as_one(parent):
    child, itself = child_of(parent), ProcessId.of(parent.pid)
    for wanted, state in ((signal.SIGSTOP, "frozen"), (signal.SIGCONT, "running")):
        send_to_family(parent.pid, wanted)
        assert becomes(lambda state=state: (itself.state, child.state) == (state, state))
    send_to_family(parent.pid, signal.SIGKILL)
    assert becomes(lambda: (itself.state, child.state) == ("gone", "gone"))


def test_a_process_that_has_the_number_of_an_earlier_one_is_left_alone(parent):
    child = child_of(parent)
    earlier = child._replace(started=child.started - 1)
    assert earlier.state == "gone"
    earlier.send(signal.SIGKILL)
    assert child.state == "running"
    send_to_family(parent.pid, signal.SIGKILL)


def test_a_process_that_is_gone_is_gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(process.pid)
    ended = ProcessId(process.pid, 1)
    assert ended.state == "gone"
    ended.send(signal.SIGKILL)
    send_to_family(process.pid, signal.SIGKILL)


def test_we_ourselves_run():
    assert ProcessId.of(os.getpid()).state == "running"
