"""What runs beside the requests, begun again when it fails; `/readyz` shows how it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

Work = Callable[[], Awaitable[object]]

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("stepup.background")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
# What fails again sooner than this was never well in between.
_CANCEL_AGAIN = 0.5
_STEADY = 10.0


class BackgroundFailingError(Exception):
    """A task has failed, and has not run for long since."""


class Background:
    """Tasks that should never end, by name.

    They bear what they foresee by themselves. What they do not foresee must neither end them
    quietly nor make them spin: it is logged, and they begin again after a growing pause.
    """

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = dict(works)
        self._steady_at: dict[str, float] = {}

    @property
    def checks(self) -> Mapping[str, Work]:
        """The tasks as components of the instance's readiness."""

        def check_of(name: str) -> Work:
            async def check() -> None:
                if asyncio.get_running_loop().time() < self._steady_at.get(name, 0.0):
                    raise BackgroundFailingError

            return check

        return {name: check_of(name) for name in self._works}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all of them meanwhile."""
        tasks = [asyncio.create_task(self._keep(*work)) for work in self._works.items()]
        try:
            yield
        finally:
            # More than once if need be: a library may swallow a cancellation.
            while unfinished := [task for task in tasks if not task.done()]:
                for task in unfinished:
                    task.cancel()
                await asyncio.wait(unfinished, timeout=_CANCEL_AGAIN)

    async def _keep(self, name: str, work: Work) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            begun = loop.time()
            failed = await _failure_of(work)
            if loop.time() - begun >= _STEADY:
                pause = _FIRST_PAUSE
            self._steady_at[name] = loop.time() + pause + _STEADY
            _logger.error("background_failed", task=name, again_in=pause, exc_info=failed)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def _failure_of(work: Work) -> BaseException:
    try:
        await work()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        # A library may let its own cancellation escape; only ours ends the task.
        if task is None or task.cancelling():
            raise
        return error
    except Exception as error:  # noqa: BLE001  whatever it was, the task must go on
        return error
    return RuntimeError("it ended")
