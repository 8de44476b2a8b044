"""Child processes of `stepup serve` and `stepup dev`: the workers, and the demo."""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog

from stepup import telemetry
from stepup.adapters.embedded.processes import ChildProcess
from stepup.cli.worker import Order, encode_order
from stepup.config import Settings

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("stepup.workers")
Child = ChildProcess
"""A process that ends when we do."""

# A worker that cannot live must not be started over and over at full speed.
_PAUSE_BEFORE_RESTART = 1.0
# What a worker needs beyond what it is given to stop; then it is killed.
_MARGIN = timedelta(seconds=5)


class WorkerError(Exception):
    """A worker ended before it ever served; its log lines say why."""


class _Worker:
    """One worker process: it waits for its order, and says through a pipe that it serves."""

    def __init__(
        self, sockets: Sequence[socket.socket], environment: dict[str, str], log: Path | None
    ) -> None:
        self._ready, ready = os.pipe()
        order, self._order = os.pipe()
        fds = tuple(each.fileno() for each in sockets)
        # The numbers are the same in the child, which inherits them.
        self._inherited = (fds, ready)
        self.process = ChildProcess(
            [sys.executable, "-m", "stepup.cli.worker", str(order)],
            death_signal=signal.SIGTERM,
            inherit=(*fds, ready, order),
            environment=environment,
            log=log,
        )
        os.close(ready)
        os.close(order)
        os.set_blocking(self._ready, False)
        self._serves = False

    def send_order(self, settings: Settings) -> None:
        """Let it serve; once."""
        sockets, ready = self._inherited
        text = encode_order(Order(settings=settings, sockets=sockets, ready=ready))
        # One that has died meanwhile is found and replaced by whoever looks after it.
        with suppress(BrokenPipeError), os.fdopen(self._take_order_end(), "wb") as pipe:
            pipe.write(text)

    @property
    def serves(self) -> bool:
        """Say whether it has begun to serve."""
        if not self._serves:
            try:
                self._serves = os.read(self._ready, 1) == b"1"
            except BlockingIOError:
                return False
        return self._serves

    def close(self) -> None:
        """Forget an ended worker; again is harmless, since a stop may come at any moment."""
        ends, self._ready, self._order = (self._ready, self._order), -1, -1
        for end in ends:
            if end >= 0:
                os.close(end)

    def _take_order_end(self) -> int:
        end, self._order = self._order, -1
        return end


class Workers:
    """N workers on shared sockets; a dead one is replaced.

    They begin to import as soon as they are made, and serve once they are told what. Their lines
    go to our standard error, or to `log`.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], count: int, log: Path | None = None
    ) -> None:
        self._log = log
        self._settings: Settings | None = None
        self._sockets = tuple(sockets)
        self._environment = dict(os.environ)
        self._figures: tempfile.TemporaryDirectory[str] | None = None
        count = count or os.cpu_count() or 1
        if count > 1:
            self._figures = tempfile.TemporaryDirectory(prefix="stepup-metrics-")
            self._environment["PROMETHEUS_MULTIPROC_DIR"] = self._figures.name
        self._workers = [self._start() for _ in range(count)]

    def serve(self, settings: Settings) -> None:
        """Let all of them serve; what the settings need must be in place."""
        self._settings = settings
        for worker in self._workers:
            worker.send_order(settings)

    @property
    def processes(self) -> list[Child]:
        """The workers' processes."""
        return [worker.process for worker in self._workers]

    @property
    def ready(self) -> bool:
        """Say whether all of them serve."""
        return all(worker.serves for worker in self._workers)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Return when all of them serve.

        Raises:
            WorkerError: If one ends instead, or it takes too long.
        """
        deadline = time.monotonic() + seconds
        while not self.ready:
            if time.monotonic() > deadline:
                raise WorkerError(f"the service did not start within {seconds:.0f} s")
            if not all(worker.process.alive for worker in self._workers):
                raise WorkerError("the service did not start; the lines above say why")
            time.sleep(0.02)

    def look_after(self) -> None:
        """Replace the dead."""
        for index, worker in enumerate(self._workers):
            if worker.process.alive:
                continue
            _logger.error("worker_ended", pid=worker.process.pid, status=worker.process.status)
            self._forget(worker)
            time.sleep(_PAUSE_BEFORE_RESTART)
            self._workers[index] = self._start()

    def stop(self) -> None:
        """Drain and end all of them, at the same time."""
        for worker in self._workers:
            worker.process.send(signal.SIGTERM)
        deadline = time.monotonic() + self._allowed_to_stop().total_seconds()
        for worker in self._workers:
            while worker.process.alive and time.monotonic() < deadline:
                time.sleep(0.02)
            worker.process.stop(signal.SIGKILL)
            self._forget(worker)
        if self._figures is not None:
            self._figures.cleanup()

    def _start(self) -> _Worker:
        worker = _Worker(self._sockets, self._environment, self._log)
        if self._settings is not None:
            worker.send_order(self._settings)
        return worker

    def _allowed_to_stop(self) -> timedelta:
        if self._settings is None:
            return _MARGIN
        return self._settings.drain_delay + self._settings.stop_timeout + _MARGIN

    def _forget(self, worker: _Worker) -> None:
        worker.close()
        if self._figures is not None:
            telemetry.forget_worker(worker.process.pid, self._figures.name)


def start_demo(arguments: Sequence[str], client_secret: str) -> Child:
    """Start the demo identity provider and the demo bank.

    The secret goes through a pipe: environments and arguments are read by too many.
    """
    secret, end = os.pipe()
    try:
        # Far less than a pipe holds, so this does not wait for the reader.
        with os.fdopen(end, "wb") as pipe:
            pipe.write(client_secret.encode())
        command = [sys.executable, "-m", "stepup", "demo", "serve", *arguments]
        return ChildProcess(
            [*command, "--client-secret-fd", str(secret)],
            death_signal=signal.SIGTERM,
            inherit=(secret,),
        )
    finally:
        os.close(secret)
