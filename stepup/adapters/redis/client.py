"""What the stores talk to: scripts and commands, repeated where that is harmless.

Repeats happen within one deadline and one budget. When the outcome of a spend is unknown at its
end the caller is told so and may come again with the same attempt; a read is merely unavailable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from stepup.adapters.redis.endpoint import Resolver
from stepup.adapters.redis.keys import PREFIX
from stepup.adapters.redis.line import stop_all
from stepup.adapters.redis.replies import (
    CommandTrouble,
    NowhereError,
    RedirectedError,
    ScriptMissingError,
    may_repeat,
)
from stepup.adapters.redis.retry_budget import RetryBudget
from stepup.adapters.redis.scripts import Argument, Command, Fenced, Script
from stepup.adapters.redis.shard import Order, Route, Shard, Topology
from stepup.adapters.redis.spending import Answer
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
    """A script's answer: one word, and what the script's header says comes with it.

    A spend also says which history of the data it belongs to.
    """

    status: str
    values: list[Any]
    history: str = ""


Sender = Callable[[Shard, Order], Awaitable[Any]]


class _Request(NamedTuple):
    """A command on its way, and what may be done when it gets no reply.

    Without a shard it goes to where its key is served.
    """

    command: Command
    by_source: Command
    key: str
    same_attempt: bool
    fenced: Fenced = Fenced.NOTHING
    everywhere: bool = False
    shard: Shard | None = None


class RedisClient:
    """Runs scripts and commands where their key is served."""

    def __init__(self, topology: Topology, budget: RetryBudget | None = None) -> None:
        self._topology = topology
        self._budget = budget or RetryBudget("redis")

    def start(self) -> None:
        """Begin to connect, in the event loop that will use the client."""
        self._topology.start()

    def shards(self) -> Sequence[Shard]:
        """Return the shards that are known: one, but in a Cluster."""
        return self._topology.shards()

    async def known(self) -> None:
        """Return when the shards are known.

        Raises:
            DependencyUnavailableError: If they are not in time.
        """
        try:
            async with asyncio.timeout(BUDGET):
                await self._topology.known()
        except TimeoutError as error:
            raise DependencyUnavailableError from error

    def resolver(self, key: str) -> Resolver:
        """Return who knows the primary of a key, for a connection of one's own."""
        return self._topology.resolver(key)

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
        request = _request(script, keys, args, same_attempt=same_attempt)
        request = request._replace(everywhere=everywhere)
        try:
            answer: Answer = await self._deliver(Shard.spend, request)
            return _read(answer.reply, answer.history)
        except CommandTrouble as trouble:
            error = OutcomeUnknownError if trouble.unknown else DependencyUnavailableError
            raise error from trouble

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()
    ) -> Reply:
        """Run a script that nothing depends on, and that may run twice."""
        request = _request(script, keys, args, same_attempt=True)
        try:
            return _read(await self._deliver(Shard.read, request))
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    async def call(self, *command: Argument) -> Any:
        """Send one command that may be executed twice, to where its first key is served."""
        request = _Request(command, command, _key_of(command), same_attempt=True)
        try:
            return await self._deliver(Shard.read, request)
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    async def call_at(self, shard: Shard, *command: Argument) -> Any:
        """Send one command that may be executed twice to one of the shards."""
        request = _Request(command, command, "", same_attempt=True, shard=shard)
        try:
            return await self._deliver(Shard.read, request)
        except CommandTrouble as trouble:
            raise DependencyUnavailableError from trouble

    async def check(self) -> None:
        """Return when a shard answers on both connections.

        One is enough: a shard that is away must not take the instance from those that are not.

        Raises:
            DependencyUnavailableError: If none does.
        """
        await self.known()
        trouble: CommandTrouble | None = None
        checks = [asyncio.ensure_future(self._check(shard)) for shard in self.shards()]
        try:
            for answered in asyncio.as_completed(checks):
                try:
                    return await answered
                except CommandTrouble as found:
                    trouble = found
        finally:
            await stop_all(checks)
        raise DependencyUnavailableError from trouble

    async def _check(self, shard: Shard) -> None:
        await asyncio.gather(
            self._deliver(Shard.read, _ping(shard)), self._deliver(Shard.spend, _ping(shard))
        )

    async def histories(self) -> frozenset[str]:
        """Return the histories of all shards that can be reached.

        Raises:
            DependencyUnavailableError: If it is not known yet which shards there are.
        """
        await self.known()
        shards = self._topology.shards()
        found = await asyncio.gather(
            *(self._deliver(Shard.spend, _ping(shard)) for shard in shards), return_exceptions=True
        )
        return frozenset(each.history for each in found if isinstance(each, Answer))

    def drop(self, why: str) -> None:
        """Give up every connection; new ones are made at once."""
        for shard in self._topology.shards():
            shard.drop(why)

    async def close(self) -> None:
        """Close every connection, and stop watching who is the primary."""
        await self._topology.close()

    async def _deliver(self, send: Sender, request: _Request) -> Any:
        """Send until there is a reply, the time is up, or a repetition could do harm."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + BUDGET, FIRST_REPEAT
        self._budget.request(clock())
        trouble: CommandTrouble | None = None
        lost: CommandTrouble | None = None
        while True:
            try:
                route = self._route(request, trouble)
                return await send(route.shard, _order(request, deadline, asking=route.asking))
            except CommandTrouble as found:
                # Once lost it stays unknown, whatever the repetitions say.
                trouble, lost = found, lost or (found if found.unknown else None)
                if clock() + pause > deadline or not self._may_repeat(found, request):
                    raise (lost or found) from found
            if isinstance(trouble, ScriptMissingError):
                request = request._replace(command=request.by_source)
            # Who is sent elsewhere for the first time goes at once.
            if pause > FIRST_REPEAT or not isinstance(trouble, RedirectedError):
                await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_REPEAT)

    def _route(self, request: _Request, trouble: CommandTrouble | None) -> Route:
        if request.shard is not None:
            return Route(request.shard)
        sent_to = (
            self._topology.redirected(trouble) if isinstance(trouble, RedirectedError) else None
        )
        return sent_to or self._topology.route(request.key)

    def _may_repeat(self, trouble: CommandTrouble, request: _Request) -> bool:
        # Neither has given a server any work: one was sent to nobody, the other must be sent whole.
        if isinstance(trouble, NowhereError | ScriptMissingError):
            return True
        # The budget is asked last: what may not be repeated anyway costs nothing.
        return may_repeat(trouble, same_attempt=request.same_attempt) and self._budget.repeat()


def _ping(shard: Shard) -> _Request:
    return _Request(("PING",), ("PING",), "", same_attempt=True, shard=shard)


def _request(
    script: Script, keys: Sequence[str], args: Sequence[Argument], *, same_attempt: bool
) -> _Request:
    by_sha, by_source = script.by_sha(keys, args), script.by_source(keys, args)
    return _Request(by_sha, by_source, keys[0], same_attempt, script.fenced)


def _order(request: _Request, deadline: float, *, asking: bool) -> Order:
    return Order(request.command, deadline, asking, request.fenced, request.everywhere)


def _key_of(command: Command) -> str:
    """Return the first of our keys; a command without one may go anywhere."""
    for each in command:
        text = each.decode(errors="replace") if isinstance(each, bytes) else str(each)
        if text.startswith(PREFIX):
            return text
    return ""


def _read(reply: Any, history: str = "") -> Reply:
    status = reply[0].decode()
    if status == "newer":
        raise NewerFormatError
    return Reply(status, reply[1:], history)
