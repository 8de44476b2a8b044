"""The connection for what is spent: rounds of scripts, each acknowledged by one WAIT.

`WAIT` speaks of the writes of its own connection only and blocks it, so it cannot live among
reads; the replication stream is linear, so one WAIT acknowledges every script before it
(RELIABILITY section 2.3). All spends that arrive while a round is under way are the next round.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from stepup import telemetry
from stepup.adapters.redis.calls import Call, CallQueue
from stepup.adapters.redis.endpoint import Address, Resolver
from stepup.adapters.redis.in_step import InStep
from stepup.adapters.redis.line import Line, stop
from stepup.adapters.redis.replies import LostReplyError, UnsentError
from stepup.adapters.redis.scripts import Command
from stepup.adapters.redis.wire import Wire, fail

MOST_PER_ROUND = 256
WAIT_MS = 150


class Answer(NamedTuple):
    """A reply, the server that it came from, and the history of that server's data."""

    reply: Any
    address: Address
    epoch: int | None
    history: str


class SpendingConnection:
    """Scripts in rounds; each says how many replicas must hold it before anybody hears of it.

    A round waits for the largest number in it, or for everyone while everyone keeps up, and each
    is content with what it needs: the stream is linear, so one count serves them all.
    """

    def __init__(self, resolver: Resolver, client_name: str) -> None:
        self.line = Line(resolver, client_name)
        self.queue = CallQueue()
        self._in_step = InStep()
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect and to write."""
        self.line.start()
        self._pump = asyncio.create_task(self._run())

    def send(
        self,
        command: Command,
        deadline: float,
        *,
        replicas: int = 0,
        everyone: int = 0,
        asking: bool = False,
    ) -> asyncio.Future[Answer]:
        """Queue a script that must be written before the deadline."""
        return self.queue.add(
            command, deadline, replicas=replicas, everyone=everyone, asking=asking
        )

    async def close(self) -> None:
        """Close; what is queued is refused."""
        self.queue.close(UnsentError("closed"))
        await stop(self._pump)
        await self.line.close()

    async def _run(self) -> None:
        while True:
            await self.queue.filled()
            wire = await self.line.wire(self.queue.expire)
            calls = self.queue.take(MOST_PER_ROUND)
            if calls:
                await self._round(wire, calls)

    async def _round(self, wire: Wire, calls: Sequence[Call]) -> None:
        """Write the scripts and their WAIT, and return when the last reply is there."""
        loop = asyncio.get_running_loop()
        create_future, begun = loop.create_future, loop.time()
        sent = [replace(call, reply=create_future()) for call in calls]
        for call, copy in zip(calls, sent, strict=True):
            copy.reply.add_done_callback(partial(_hand_out, call, wire))
        needed, everyone = (max(each) for each in zip(*map(_replicas, calls), strict=True))
        wanted = self._in_step.wanted(needed, everyone, begun)
        if wanted:
            sent.append(Call(("WAIT", wanted, WAIT_MS), create_future(), math.inf))
        try:
            await wire.write(sent)
            await asyncio.wait([sent[-1].reply])
        except asyncio.CancelledError:
            fail((call.reply for call in calls), LostReplyError("closed"))
            for call in sent:
                call.reply.cancel()
            raise
        telemetry.redis_round_size.observe(len(calls))
        telemetry.redis_round_duration_seconds.observe(loop.time() - begun)
        if wanted:
            held_by = _acknowledge(calls, sent, wire)
            if held_by >= 0:
                self._in_step.learn(held_by, wanted, everyone, loop.time())


def _replicas(call: Call) -> tuple[int, int]:
    return call.replicas, call.everyone


def _hand_out(call: Call, wire: Wire, reply: asyncio.Future[Any]) -> None:
    """Pass on what needs no acknowledgement: every refusal, and all of it without replicas."""
    waiting = call.reply
    if waiting.done() and not reply.cancelled():
        # Nobody waits any more; look at the exception all the same, so that it is not logged.
        reply.exception()
    elif reply.cancelled():
        waiting.cancel()
    elif (trouble := reply.exception()) is not None:
        waiting.set_exception(trouble)
    elif not call.replicas or not _says_ok(reply.result()):
        waiting.set_result(_answer(reply, wire))


def _acknowledge(calls: Sequence[Call], sent: Sequence[Call], wire: Wire) -> int:
    """Tell every caller; return how many replicas hold the round, less than none if unknown."""
    held_by, trouble = _held_by(sent[-1].reply)
    if trouble is None and held_by < max(call.replicas for call in calls):
        telemetry.redis_wait_timeouts_total.inc()
    for call, copy in zip(calls, sent, strict=False):
        if call.reply.done() or copy.reply.exception() is not None:
            continue
        if held_by >= call.replicas or not _says_ok(copy.reply.result()):
            call.reply.set_result(_answer(copy.reply, wire))
        else:
            too_few = LostReplyError(f"held by {held_by} of {call.replicas} replicas")
            call.reply.set_exception(trouble or too_few)
    return held_by


def _held_by(wait: asyncio.Future[Any]) -> tuple[int, LostReplyError | None]:
    """Return how many replicas hold the round; less than none, and why, when nobody can say."""
    trouble = wait.exception()
    if trouble is not None:
        timed_out = isinstance(trouble, LostReplyError) and trouble.timed_out
        return -1, LostReplyError(f"not acknowledged: {trouble}", timed_out=timed_out)
    telemetry.redis_wait_acks.observe(wait.result())
    return wait.result(), None


def _answer(reply: asyncio.Future[Any], wire: Wire) -> Answer:
    endpoint = wire.endpoint
    return Answer(reply.result(), endpoint.address, endpoint.epoch, wire.history)


def _says_ok(reply: Any) -> bool:
    return isinstance(reply, list) and bool(reply) and reply[0] == b"ok"
