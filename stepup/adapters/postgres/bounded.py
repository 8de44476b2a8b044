"""Waiting for a server that may be frozen, for a bounded time.

Cancelling a call on a frozen server takes up to ten seconds: the driver asks the server to stop
the query and waits for its answer (RELIABILITY section 4). So the call runs in a task of its own;
the request waits as long as it can afford and walks away, and the task is ended behind its back.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Work = Coroutine[Any, Any, T]

# After the first cancellation the driver asks the server politely; a second one closes the line.
_POLITENESS = 1.0


class BoundedCalls:
    """Calls that are waited for only so long, and the tasks that outlive the waiting."""

    def __init__(self) -> None:
        self._behind: set[asyncio.Task[Any]] = set()

    async def call(
        self,
        work: Work[T],
        limit: float,
        *,
        grace: float = 0.0,
        discard: Callable[[T], Work[None]] | None = None,
    ) -> T:
        """Return what `work` returns, if it does within `limit` seconds.

        When it does not, or when the caller is cancelled, `work` may go on for `grace` seconds
        and is then cancelled; if it still succeeds, its result goes to `discard`.

        Raises:
            TimeoutError: If the time is over. The work may have an effect nevertheless.
        """
        task = asyncio.create_task(work)
        waited = False
        try:
            await asyncio.wait({task}, timeout=limit)
            waited = task.done()
        finally:
            if not waited:
                self._leave(task, grace, discard)
        if not waited:
            raise TimeoutError
        return task.result()

    def spawn(self, work: Work[None]) -> None:
        """Do something that nobody waits for."""
        self._keep(asyncio.create_task(work))

    async def close(self) -> None:
        """Let what is still running come to its end, then end it."""
        for _ in range(3):
            if not self._behind:
                return
            await asyncio.wait(set(self._behind), timeout=_POLITENESS)
            for task in self._behind:
                task.cancel()

    def _leave(
        self, task: asyncio.Task[T], grace: float, discard: Callable[[T], Work[None]] | None
    ) -> None:
        def take(done: asyncio.Task[T]) -> None:
            for timer in timers:
                timer.cancel()
            if discard is not None and not done.cancelled() and done.exception() is None:
                self.spawn(discard(done.result()))

        loop = asyncio.get_running_loop()
        timers = [
            loop.call_later(grace, task.cancel),
            loop.call_later(grace + _POLITENESS, task.cancel),
        ]
        self._keep(task)
        task.add_done_callback(take)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        # The event loop holds tasks weakly, and an exception nobody reads becomes a warning.
        self._behind.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._behind.discard(task)
        if not task.cancelled():
            task.exception()
