"""Ctrl-C and SIGTERM: stop everything in order, whatever is going on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(BaseException):
    """The operator wants us to stop. Not an `Exception`, so that nobody handles it by accident."""


@contextmanager
def stoppable() -> Iterator[None]:
    """End the block quietly at the first SIGINT or SIGTERM; what it entered is left in order.

    A second signal ends the process at once; the kernel then ends its children.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        raise StoppedError(number)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except StoppedError:
        pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
