"""The workshop: a few processes, opened when there is work and closed when there is none."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, TypeVarTuple

from typing_extensions import override

from stepup.adapters.workshop.frames import HEADER, framed
from stepup.domain.errors import DependencyUnavailableError, TookTooLongError
from stepup.ports.workshop import Workshop

_Given = TypeVarTuple("_Given")
_Made = TypeVar("_Made")

# Importing what policies are read with takes a second on a busy machine, thirty on a sick one.
_OPENED_WITHIN = 30.0
# Somebody who tries things out tries again within a minute; then its memory is worth more.
_KEPT_IDLE = timedelta(minutes=1)
# Each waits with a document of some mebibytes; people who try things out are few.
_LONGEST_QUEUE = 16
# How much later than we end a place it ends itself, in case we are dead.
_MARGIN = 5.0


class ProcessWorkshop(Workshop):
    """Places in processes of their own, at most as many as it is told."""

    def __init__(
        self, modules: Sequence[str] = (), *, places: int = 2, kept_idle: timedelta = _KEPT_IDLE
    ) -> None:
        self._modules = tuple(modules)
        self._free = asyncio.Semaphore(places)
        self._kept_idle = kept_idle.total_seconds()
        self._idle: list[_Place] = []
        self._waiting = 0

    @override
    async def run(
        self, work: Callable[[*_Given], _Made], *given: *_Given, limit: timedelta
    ) -> _Made:
        if self._waiting >= _LONGEST_QUEUE:
            raise DependencyUnavailableError
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), limit.total_seconds())
        except TimeoutError:
            raise DependencyUnavailableError from None
        finally:
            self._waiting -= 1
        try:
            order = pickle.dumps((work, given))
            succeeded, made = await self._done(order, limit.total_seconds())
        finally:
            self._free.release()
        if not succeeded:
            raise made
        # mypy: what comes out of a pickle is what `work` returned.
        return made  # type: ignore[no-any-return]

    async def close(self) -> None:
        """End every place that waits for work."""
        while self._idle:
            await self._idle.pop().end()

    async def _done(self, order: bytes, seconds: float) -> tuple[bool, Any]:
        place = await self._place()
        try:
            answer = await asyncio.wait_for(place.do(order, seconds + _MARGIN), seconds)
        except TimeoutError:
            await place.end()
            raise TookTooLongError from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await place.end()
            raise DependencyUnavailableError from None
        except BaseException:
            # Whoever asked is gone; nobody needs the answer.
            await place.end()
            raise
        self._keep(place)
        return pickle.loads(answer)  # type: ignore[no-any-return]  # noqa: S301  see `frames`

    async def _place(self) -> "_Place":
        while self._idle:
            place = self._idle.pop()
            place.busy()
            if place.alive:
                return place
            await place.end()
        return await _Place.open(self._modules)

    def _keep(self, place: "_Place") -> None:
        self._idle.append(place)
        place.idle(self._kept_idle, self._forget)

    def _forget(self, place: "_Place") -> None:
        with suppress(ValueError):
            self._idle.remove(place)


class _Place:
    """A process that waits for work, or does some."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._waiting: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, modules: Sequence[str]) -> "_Place":
        """Start a process and wait until it can work.

        Raises:
            DependencyUnavailableError: If it does not start.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "stepup.adapters.workshop.place",
            *modules,
            stdin=PIPE,
            stdout=PIPE,
            # It needs none of the settings, and so none of the secrets among them.
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"},
        )
        place = cls(process)
        try:
            await asyncio.wait_for(place._answer(), _OPENED_WITHIN)
        except (TimeoutError, asyncio.IncompleteReadError):
            await place.end()
            raise DependencyUnavailableError from None
        except BaseException:
            await place.end()
            raise
        return place

    @property
    def alive(self) -> bool:
        """Say whether it could still work."""
        return self._process.returncode is None

    def busy(self) -> None:
        """Take it out of its rest."""
        if self._waiting is not None:
            self._waiting.cancel()

    def idle(self, seconds: float, forget: "Callable[[_Place], None]") -> None:
        """End it when it has had nothing to do for that long."""

        def over() -> None:
            forget(self)
            self._closing = asyncio.ensure_future(self.end())

        self._waiting = asyncio.get_running_loop().call_later(seconds, over)

    async def do(self, order: bytes, seconds: float) -> bytes:
        """Have some work done; return the pickle of what came of it."""
        stdin = self._process.stdin
        if stdin is None:
            raise ConnectionResetError
        stdin.write(framed(order, seconds))
        await stdin.drain()
        return await self._answer()

    async def end(self) -> None:
        """End the process, whatever it does."""
        self.busy()
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _answer(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise ConnectionResetError
        length, _ = HEADER.unpack(await stdout.readexactly(HEADER.size))
        return await stdout.readexactly(length)
