"""Child processes that end with the process which started them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


class EngineError(Exception):
    """An engine cannot be started; the message is for the operator, in one line."""


class ChildProcess:
    """A running child; the kernel ends it when its parent ends.

    The kernel watches the thread that starts it, not only the process: start children from a
    thread that lives as long as they should.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        death_signal: signal.Signals,
        log: Path | None = None,
        user: int | None = None,
        inherit: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
        launcher += [str(int(death_signal)), "-" if user is None else str(user)]
        self._name = Path(command[0]).name
        self._log = log
        with contextlib.nullcontext() if log is None else log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own launcher and found engines
                [*launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                pass_fds=tuple(inherit),
                env=environment,
            )

    @property
    def pid(self) -> int:
        """The process identifier; the launcher becomes the program, so it is the program's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return when `ready()` holds.

        Raises:
            EngineError: If the process ends first or takes too long.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise EngineError(f"{self._name} did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise EngineError(f"{self._name} was not ready in {seconds:.0f} s")
            time.sleep(0.01)

    def finish(self, seconds: float = 60.0) -> None:
        """Wait for a process that ends by itself.

        Raises:
            EngineError: If it failed or takes too long.
        """
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)
            status = None
        if status != 0:
            raise EngineError(f"{self._name} failed: {self._last_words()}")

    def send(self, wanted: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.alive:
            self._process.send_signal(wanted)

    def stop(self, with_signal: signal.Signals, seconds: float = 10.0) -> None:
        """End it and wait for the end; a process that does not listen is killed."""
        self.send(with_signal)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        if self._log is None:
            return f"status {self.status}"
        lines = self._log.read_text(errors="replace").splitlines()
        telling = [line for line in lines if "FATAL" in line or "rror" in line]
        return f"{(telling or lines or ['it said nothing'])[-1].strip()} ({self._log})"
