"""What the stores talk to: scripts and commands, repeated where that is harmless.

Repeats happen within one budget. When the outcome of a spend is unknown at its end the caller is
told so and may come again with the same attempt; a read is merely unavailable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from stepup.adapters.redis.endpoint import Resolver
from stepup.adapters.redis.fence import Fence, NoFence
from stepup.adapters.redis.line import Line
from stepup.adapters.redis.plain import PlainConnection
from stepup.adapters.redis.replies import (
    CommandTrouble,
    ScriptMissingError,
    UnsentError,
    may_repeat,
)
from stepup.adapters.redis.scripts import Argument, Command, Fenced, Script
from stepup.adapters.redis.spending import SpendingConnection
from stepup.domain.errors import (
    DependencyUnavailableError,
    NewerFormatError,
    OutcomeUnknownError,
)

# What a person does not notice yet, and a proxy does not give up on (RELIABILITY section 2.2).
BUDGET = 1.5
FIRST_REPEAT = 0.01
LONGEST_REPEAT = 0.2


class Reply(msgspec.Struct, frozen=True):
    """A script's answer: one word, and what the script's header says comes with it."""

    status: str
    values: list[Any]


Sender = Callable[[Command, float], Awaitable[Any]]


class RedisClient:
    """The two connections of a worker: plain for reads, spending for what is spent."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        name: str,
        replicas: int,
        all_replicas: int = 0,
        fence: Fence | None = None,
    ) -> None:
        self._resolver = resolver
        self._fence = fence or NoFence()
        self._all_replicas = all_replicas
        # Connections to a deposed primary end together; what is in flight there may be lost.
        resolver.on_change(partial(self.drop, "another server is the primary now"))
        self.plain = PlainConnection(resolver, f"{name}-plain")
        self.spending = SpendingConnection(resolver, f"{name}-spending", replicas, all_replicas)

    def start(self) -> None:
        """Begin to connect, in the event loop that will use the client."""
        self._resolver.start()
        self.plain.start()
        self.spending.start()

    async def spend(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument] = (),
        *,
        same_attempt: bool = False,
        everywhere: bool = False,
    ) -> Reply:
        """Run a script that spends; `same_attempt` when the server knows a repetition as such.

        With `everywhere` all replicas that there should be must hold it, and there must be some.

        Raises:
            OutcomeUnknownError: If it was sent and its fate is not known.
            DependencyUnavailableError: If it was certainly not executed.
            NewerFormatError: If a newer release wrote what it works on.
        """
        if everywhere and not self._all_replicas:
            raise DependencyUnavailableError("There are no replicas to hold it.")
        spend = partial(self._spend, script.fenced, everywhere)
        try:
            return _read(
                await _run(spend, self.spending.line, script, keys, args, same_attempt=same_attempt)
            )
        except CommandTrouble as trouble:
            error = OutcomeUnknownError if trouble.unknown else DependencyUnavailableError
            raise error from trouble

    async def _spend(
        self, fenced: Fenced, everywhere: bool, command: Command, deadline: float
    ) -> Any:
        """Send to where it is acknowledged, and look afterwards whether that still counts."""
        reply, address = await self.spending.send(command, deadline, everywhere=everywhere)
        if fenced is Fenced.ALL or (fenced is Fenced.REFUSALS and reply[0] != b"ok"):
            await self._fence.check(address)
        return reply

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()
    ) -> Reply:
        """Run a script that nothing depends on, and that may run twice."""
        try:
            return _read(
                await _run(self.plain.send, self.plain.line, script, keys, args, same_attempt=True)
            )
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    async def call(self, *command: Argument) -> Any:
        """Send one command that may be executed twice."""
        try:
            return await _deliver(
                self.plain.send, self.plain.line, command, command, same_attempt=True
            )
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    async def check(self) -> None:
        """Return when both connections answer."""
        await asyncio.gather(self.call("PING"), self._check_spending())

    async def _check_spending(self) -> None:
        try:
            await _deliver(
                self.spending.send, self.spending.line, ("PING",), ("PING",), same_attempt=True
            )
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    def drop(self, why: str) -> None:
        """Give up both connections; new ones are made at once."""
        self.plain.line.drop(why)
        self.spending.line.drop(why)

    async def close(self) -> None:
        """Close both connections, and stop watching who is the primary."""
        await asyncio.gather(self.plain.close(), self.spending.close(), self._fence.close())
        await self._resolver.close()


async def _run(
    send: Sender,
    line: Line,
    script: Script,
    keys: Sequence[str],
    args: Sequence[Argument],
    *,
    same_attempt: bool,
) -> Any:
    by_sha, by_source = script.by_sha(keys, args), script.by_source(keys, args)
    return await _deliver(send, line, by_sha, by_source, same_attempt=same_attempt)


async def _deliver(
    send: Sender, line: Line, command: Command, by_source: Command, *, same_attempt: bool
) -> Any:
    """Send until there is a reply, the budget is used up, or a repetition could do harm."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + BUDGET, FIRST_REPEAT
    if line.down_for() > BUDGET:
        raise UnsentError(f"Redis is away: {line.trouble}")
    lost: CommandTrouble | None = None
    while True:
        try:
            return await send(command, deadline)
        except CommandTrouble as trouble:
            # Once lost it stays unknown, whatever the repetitions say.
            lost = lost or (trouble if trouble.unknown else None)
            late = loop.time() + pause > deadline
            if late or not may_repeat(trouble, same_attempt=same_attempt):
                raise (lost or trouble) from trouble
            if isinstance(trouble, ScriptMissingError):
                command = by_source
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_REPEAT)


def _read(reply: Any) -> Reply:
    status = reply[0].decode()
    if status == "newer":
        raise NewerFormatError
    return Reply(status, reply[1:])
