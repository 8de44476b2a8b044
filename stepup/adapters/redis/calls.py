"""Commands that wait for a connection, in the order in which they came."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from stepup.adapters.redis.replies import CommandTrouble, UnsentError
from stepup.adapters.redis.scripts import Command

# A second of full load; whoever comes later is better told at once.
QUEUE_LIMIT = 10_000


@dataclass(slots=True)
class Call:
    """A command, who waits for its reply, and until when it may still be written.

    `replicas` must hold what it did, and `everyone` is how many could. With `asking` ASKING goes before it, so that a node of a
    Cluster answers for what it is only being given.
    """

    command: Command
    reply: asyncio.Future[Any]
    deadline: float
    replicas: int = 0
    everyone: int = 0
    asking: bool = False


class CallQueue:
    """A bounded queue; a call whose caller left or whose time is over is never written."""

    def __init__(self, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self._calls: deque[Call] = deque()
        self._filled = asyncio.Event()
        self._closed: CommandTrouble | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def add(
        self,
        command: Command,
        deadline: float,
        *,
        replicas: int = 0,
        everyone: int = 0,
        asking: bool = False,
    ) -> asyncio.Future[Any]:
        """Queue a command and return the future of its reply."""
        reply = asyncio.get_running_loop().create_future()
        if self._closed is not None or len(self._calls) >= self._limit:
            reply.set_exception(self._closed or UnsentError("the queue is full"))
            return reply
        self._calls.append(Call(command, reply, deadline, replicas, everyone, asking))
        self._filled.set()
        return reply

    async def filled(self) -> None:
        """Wait until something is queued."""
        await self._filled.wait()

    def take(self, limit: int) -> list[Call]:
        """Take the oldest calls that are still wanted."""
        now = asyncio.get_running_loop().time()
        taken: list[Call] = []
        while self._calls and len(taken) < limit:
            call = self._calls.popleft()
            if not call.reply.done() and not _expire(call, now):
                taken.append(call)
        if not self._calls:
            self._filled.clear()
        return taken

    def expire(self) -> None:
        """Refuse what has waited too long; the oldest come first."""
        now = asyncio.get_running_loop().time()
        while self._calls and (self._calls[0].reply.done() or _expire(self._calls[0], now)):
            self._calls.popleft()

    def close(self, trouble: CommandTrouble) -> None:
        """Refuse everything from now on, because nobody will ever write it."""
        self._closed = self._closed or trouble
        while self._calls:
            reply = self._calls.popleft().reply
            if not reply.done():
                reply.set_exception(trouble)


def _expire(call: Call, now: float) -> bool:
    if now < call.deadline:
        return False
    call.reply.set_exception(UnsentError("no connection in time"))
    return True
