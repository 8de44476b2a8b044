"""Who serves a key: a shard is one primary with our two connections to it.

One node and a set behind Sentinels have one shard; a Cluster has several, and moves keys between
them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from typing_extensions import override

from stepup.adapters.redis.endpoint import Resolver
from stepup.adapters.redis.fence import Fence, NoFence
from stepup.adapters.redis.line import Line
from stepup.adapters.redis.plain import PlainConnection
from stepup.adapters.redis.replies import CommandTrouble, RedirectedError, UnsentError
from stepup.adapters.redis.scripts import Command, Fenced
from stepup.adapters.redis.spending import Answer, SpendingConnection

# A server that has been away for longer than anybody waits is not waited for.
MOST_AWAY = 1.5


class Order(NamedTuple):
    """What is sent to a shard, and until when it may still be written."""

    command: Command
    deadline: float
    # The one command that a node answers for keys that are only just being moved to it.
    asking: bool = False
    fenced: Fenced = Fenced.NOTHING
    # All replicas that there should be must hold it.
    everywhere: bool = False


class Replicas(NamedTuple):
    """How many replicas must hold a spend, and how many there are when all is well."""

    least: int
    everyone: int


class Shard:
    """The two connections of a worker to a primary: plain for reads, spending for what is spent."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        name: str,
        replicas: Callable[[], Replicas],
        fence: Fence | None = None,
    ) -> None:
        self.resolver = resolver
        self.replicas = replicas
        self._fence = fence or NoFence()
        # Connections to a deposed primary end together; what is in flight there may be lost.
        resolver.on_change(lambda: self.drop("another server is the primary now"))
        self.plain = PlainConnection(resolver, f"{name}-plain")
        self.spending = SpendingConnection(resolver, f"{name}-spending")

    def start(self) -> None:
        """Begin to connect, in the event loop that will use it."""
        self.resolver.start()
        self.plain.start()
        self.spending.start()

    async def read(self, order: Order) -> Any:
        """Send what nobody depends on."""
        _require_near(self.plain.line)
        return await self.plain.send(order.command, order.deadline, asking=order.asking)

    async def spend(self, order: Order) -> Answer:
        """Send to where it is acknowledged, and look afterwards whether that still counts."""
        _require_near(self.spending.line)
        least, everyone = self.replicas()
        if order.everywhere and not everyone:
            raise UnsentError("there are no replicas to hold it")
        answer = await self.spending.send(
            order.command,
            order.deadline,
            replicas=everyone if order.everywhere else least,
            everyone=everyone,
            asking=order.asking,
        )
        fenced = order.fenced
        if fenced is Fenced.ALL or (fenced is Fenced.REFUSALS and answer.reply[0] != b"ok"):
            await self._fence.check(answer.address, answer.epoch)
        return answer

    def drop(self, why: str) -> None:
        """Give up both connections; new ones are made at once."""
        self.plain.line.drop(why)
        self.spending.line.drop(why)

    def refuse(self, trouble: CommandTrouble) -> None:
        """Give up both connections for good; what was not written yet is told the trouble."""
        self.plain.queue.close(trouble)
        self.spending.queue.close(trouble)
        self.drop(str(trouble))

    async def close(self) -> None:
        """Close both connections, and stop watching who is the primary."""
        await asyncio.gather(self.plain.close(), self.spending.close(), self._fence.close())
        await self.resolver.close()


class Route(NamedTuple):
    """Where to send something now."""

    shard: Shard
    asking: bool = False


class Topology(Protocol):
    """Knows the shard of every key."""

    def route(self, key: str) -> Route:
        """Return where a key is served now.

        Raises:
            NowhereError: If nobody is known to serve it.
        """
        ...

    def redirected(self, trouble: RedirectedError) -> Route | None:
        """Return where a server sent us, None when we do not know that server yet."""
        ...

    def shards(self) -> Sequence[Shard]:
        """Return all shards that are known."""
        ...

    async def known(self) -> None:
        """Return when the shards are known."""
        ...

    def resolver(self, key: str) -> Resolver:
        """Return who knows the primary of a key, for a connection of one's own."""
        ...

    def start(self) -> None:
        """Begin to connect, in the event loop that will use it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class OneShard(Topology):
    """One primary for every key: a single node, or a set behind Sentinels."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        name: str,
        replicas: int,
        all_replicas: int = 0,
        fence: Fence | None = None,
    ) -> None:
        needed = Replicas(replicas, max(replicas, all_replicas))
        self.shard = Shard(resolver, name=name, replicas=lambda: needed, fence=fence)
        self._route = Route(self.shard)

    @override
    def route(self, key: str) -> Route:
        return self._route

    @override
    def redirected(self, trouble: RedirectedError) -> None:
        return None

    @override
    def shards(self) -> Sequence[Shard]:
        return (self.shard,)

    @override
    async def known(self) -> None:
        """It always is."""

    @override
    def resolver(self, key: str) -> Resolver:
        return self.shard.resolver

    @override
    def start(self) -> None:
        self.shard.start()

    @override
    async def close(self) -> None:
        await self.shard.close()


def _require_near(line: Line) -> None:
    if line.down_for() > MOST_AWAY:
        raise UnsentError(f"Redis is away: {line.trouble}")
