"""Ctrl-C and SIGTERM: stop everything in order, whatever is going on."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

_Done = TypeVar("_Done")


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


def run_until_stopped(work: Coroutine[Any, Any, _Done]) -> _Done:
    """Run it; SIGINT and SIGTERM cancel it, so that it can undo what it did.

    Raises:
        CancelledError: If it was cancelled.
    """

    async def main() -> _Done:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, task.cancel)
        return await task

    return asyncio.run(main())
