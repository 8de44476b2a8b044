"""The whole service in processes of its own, as an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

STARTS_WITHIN = 90.0
ENDS_WITHIN = 30.0


class RunningService:
    """A `stepup dev` that is ready; `ready` is what its ready file says.

    `log` holds its log lines; the table, which shows secrets to whoever sits at the terminal,
    goes elsewhere.
    """

    def __init__(self, process: subprocess.Popen[str], ready_file: Path, log: Path) -> None:
        self.process = process
        self.ready_file = ready_file
        self.ready: dict[str, Any] = json.loads(ready_file.read_text())
        self.log = log
        self.issuer: str = self.ready["issuer"]
        # Of a cluster every service has one issuer, and a port of its own.
        self.origin = self.issuer

    @property
    def bank(self) -> str:
        """The demo bank's origin."""
        return str(self.ready["demo"]["bank"])

    @property
    def admin(self) -> dict[str, str]:
        """The headers of an administrator."""
        return {"authorization": f"Bearer {self.ready['admin']['token']}"}

    def get(self, path: str) -> httpx2.Response:
        """Ask the service on a connection of its own."""
        return httpx2.get(f"{self.origin}{path}", timeout=10, trust_env=False)

    def client(self, client_id: str = "bank") -> tuple[str, str]:
        """Return a client's credentials for Basic authentication."""
        found = next(each for each in self.ready["clients"] if each["client_id"] == client_id)
        return found["client_id"], found["client_secret"]

    def descendants(self) -> list[int]:
        """Return the processes that it started."""
        return children_of(self.process.pid)

    def stop(self) -> int:
        """Stop it as an operator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN)


@contextmanager
def running_service(folder: Path, *arguments: str) -> Iterator[RunningService]:
    """Run `stepup dev` on a free port with its data below `folder`, until the block ends."""
    ready_file, log = folder / "ready.json", folder / "dev.log"
    printed = folder / "printed.txt"
    command = [sys.executable, "-m", "stepup", "dev", "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--ready-file", str(ready_file), *arguments]
    environ = {key: text for key, text in os.environ.items() if not key.startswith("STEPUP_")}
    with (
        log.open("w") as errors,
        printed.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=errors, text=True, env=environ) as process,
    ):
        try:
            _wait_for(ready_file, process, log)
            yield RunningService(process, ready_file, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN)
            finally:
                process.kill()


def children_of(parent: int) -> list[int]:
    """Return the processes that another one started."""
    return [pid for pid, its_parent in _parents().items() if its_parent == parent]


def is_running(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 10.0) -> list[int]:
    """Wait for processes to end; return those that did not."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _wait_for(ready_file: Path, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not ready_file.exists():
        assert process.poll() is None, f"it ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"it is not ready: {log.read_text()}"
        time.sleep(0.05)


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(stat.parent.name)] = int(fields[1])
    return found
