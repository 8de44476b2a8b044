"""Work that a workshop is given in tests."""

import os
import signal
import time
from pathlib import Path

from stepup.domain.errors import PolicyNotFoundError


def add(first: int, second: int) -> int:
    return first + second


def refuse(detail: str) -> None:
    raise PolicyNotFoundError(detail)


def spin() -> None:
    """Work without an end, that never lets go of the interpreter for long."""
    while True:
        pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def process() -> int:
    return os.getpid()


def environment() -> dict[str, str]:
    return dict(os.environ)


class UntellableError(Exception):
    """It cannot be made again from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


def raise_untellable() -> None:
    raise UntellableError("one", "two")


def hoard() -> int:
    """Take more memory than any document needs."""
    return len(bytearray(8 * 1024**3))


def disposability() -> int:
    """Say how gladly the kernel ends this process when memory is short."""
    return int(Path("/proc/self/oom_score_adj").read_text())
