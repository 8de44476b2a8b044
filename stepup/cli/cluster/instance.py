"""One instance of the service in a cluster: a worker on an address of its own."""

import signal
from pathlib import Path

import msgspec

from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.cli.children import WorkerError, Workers
from stepup.cli.listening import listen
from stepup.config import Settings

Address = tuple[str, int]


class Instance:
    """A worker that can be killed and started again; nobody replaces it by himself."""

    def __init__(self, name: str, address: Address, settings: Settings, log: Path) -> None:
        self.name = name
        self.address = address
        self._log = log
        host, port = address
        self._settings = msgspec.structs.replace(settings, host=host, port=port, workers=1)
        self._workers: Workers | None = None

    @property
    def process(self) -> ChildProcess | None:
        """The worker's process, once it was started."""
        return self._workers.processes[0] if self._workers else None

    def start(self) -> None:
        """Start it and return when it serves."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """Start it, and do not wait."""
        self.stop()
        sockets = listen(*self.address)
        try:
            self._workers = Workers(sockets, 1, self._log)
            self._workers.serve(self._settings)
        finally:
            # Only the instance listens: when it is gone a connection must be refused.
            for each in sockets:
                each.close()

    def wait_until_ready(self) -> None:
        """Return when it serves."""
        assert self._workers is not None  # noqa: S101  it was begun
        try:
            self._workers.wait_until_ready()
        except WorkerError as error:
            raise EngineError(f"{self.name}: {error} ({self._log})") from error

    def stop(self) -> None:
        """Drain and end it."""
        if self._workers is not None:
            for process in self._workers.processes:
                process.send(signal.SIGCONT)  # a frozen one would not hear
            self._workers.stop()
