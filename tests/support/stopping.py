"""A server's processes frozen, or killed, all of them: a lone postmaster's backends would go on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol


class Server(Protocol):
    """Whatever has a process."""

    @property
    def pid(self) -> int: ...


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop a server without ending it, for the length of a block."""
    tree = _tree(server.pid)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in tree:
            # A backend that was told to go while it was stopped is gone when its turn comes.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def killed(server: Server) -> None:
    """End a server without a word."""
    for pid in _tree(server.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]
