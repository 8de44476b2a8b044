"""A Cluster: several shards, and keys that move between them.

Nodes are asked for the map all the time, as Sentinels are for their primary. Each primary has its
own two connections; one that serves nothing any more loses both at once. There are no Sentinels to
ask whether a server still is the primary, so a spend counts when *all* replicas of its shard hold
it: whichever of them takes over knows of it (RELIABILITY section 2.5).
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence

from redis.exceptions import ConnectionError as NobodyKnowsError
from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis.cluster_map import ClusterMap, Member, read_nodes
from stepup.adapters.redis.cluster_url import ClusterUrl
from stepup.adapters.redis.endpoint import Address, Endpoint, OneNode, Resolver
from stepup.adapters.redis.line import stop
from stepup.adapters.redis.plain import PlainConnection
from stepup.adapters.redis.replies import (
    CommandTrouble,
    NotExecutedError,
    NowhereError,
    RedirectedError,
)
from stepup.adapters.redis.shard import Replicas, Route, Shard, Topology

POLL_EVERY = 0.25
# The map is asked for at most so often, however many callers were redirected.
SOONEST = 0.02


class ClusterTopology(Topology):
    """Shards by the address of their primary; `replicas` is the least that must hold a spend.

    None means one, but none in a Cluster without any replica, which development may have.
    """

    def __init__(
        self, url: ClusterUrl, name: str, replicas: int | None, all_replicas: int | None = None
    ) -> None:
        self._url = url
        self._name = name
        self._replicas = replicas
        self._all_replicas = all_replicas or 0
        self._map: ClusterMap | None = None
        self._shards: dict[Address, Shard] = {}
        self._witnesses = {address: self._witness(address) for address in url.nodes}
        self._nudged = asyncio.Event()
        self._known = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[], None]] = []

    @override
    def route(self, key: str) -> Route:
        address = self.owner(key)
        if address is None:
            self.nudge()
            raise NowhereError("no node of the Cluster is known to serve this key")
        return Route(self._shard(address))

    @override
    def redirected(self, trouble: RedirectedError) -> Route | None:
        self.nudge()
        # Of a node that nobody has described we do not know how many replicas must hold a spend.
        if self._map is None or self._map.replicas_of(trouble.address) is None:
            return None
        return Route(self._shard(trouble.address), trouble.asking)

    @override
    def shards(self) -> Sequence[Shard]:
        return tuple(self._shards.values())

    @override
    async def known(self) -> None:
        await self._known.wait()

    @override
    def resolver(self, key: str) -> Resolver:
        return _OwnerResolver(self, key)

    @override
    def start(self) -> None:
        for witness in self._witnesses.values():
            witness.start()
        self._watcher = asyncio.create_task(self._watch())

    @override
    async def close(self) -> None:
        await stop(self._watcher)
        closing = [shard.close() for shard in self._shards.values()]
        closing += [witness.close() for witness in self._witnesses.values()]
        await asyncio.gather(*closing, *self._farewells)

    def on_learned(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the map was learned anew, changed or not."""
        self._listeners.append(tell)

    def nudge(self) -> None:
        """Ask for the map soon: somebody has met a node that is not what we thought."""
        self._nudged.set()

    def owner(self, key: str) -> Address | None:
        """Return the primary of a key, None when nobody is known to serve it."""
        return None if self._map is None else self._map.owner(key)

    def endpoint(self, address: Address) -> Endpoint:
        """Return how to reach a node."""
        return self._url.server(address)

    def required(self, address: Address) -> Replicas:
        """Return how many replicas must hold a spend: all that the node has, at least."""
        has_any = self._map is None or bool(self._map.replicas)
        least = int(has_any) if self._replicas is None else self._replicas
        held = 0 if self._map is None else self._map.replicas_of(address) or 0
        return Replicas(max(least, held), max(least, held, self._all_replicas))

    def _shard(self, address: Address) -> Shard:
        shard = self._shards.get(address)
        if shard is None:
            resolver = _NodeResolver(self.endpoint(address), self.nudge)
            shard = Shard(resolver, name=self._name, replicas=lambda: self.required(address))
            shard.start()
            self._shards[address] = shard
        return shard

    def _witness(self, address: Address) -> PlainConnection:
        endpoint = self._url.server(address, is_witness=True)
        return PlainConnection(OneNode(endpoint), f"{self._name}-cluster")

    async def _watch(self) -> None:
        while True:
            heard = await asyncio.gather(
                *(self._ask(address, one) for address, one in self._witnesses.items())
            )
            self._learn([view for view in heard if view is not None])
            await self._rest()

    async def _ask(self, address: Address, witness: PlainConnection) -> tuple[Member, ...] | None:
        # One that is known to be away is not waited for.
        if witness.line.down_for() > 0:
            return None
        patience = self._url.server(address, is_witness=True).patience.command
        deadline = asyncio.get_running_loop().time() + patience
        try:
            text = await witness.send(("CLUSTER", "NODES"), deadline)
        except CommandTrouble:
            return None
        return read_nodes(text.decode(), address, by_name=self._url.is_encrypted)

    async def _rest(self) -> None:
        # Those who nudge because they cannot connect come every few milliseconds.
        await asyncio.sleep(SOONEST)
        if self._map is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY - SOONEST):
                    await self._nudged.wait()
        self._nudged.clear()

    def _learn(self, views: Sequence[Sequence[Member]]) -> None:
        found, known = ClusterMap.merged(views), self._map
        # Only a majority is believed that says less than we know: somebody made the Cluster anew.
        outdated = known is not None and found.epoch < known.epoch
        if not found.claims or (outdated and 2 * len(views) <= len(self._witnesses)):
            return
        self._map, primaries = found, found.primaries()
        for address in primaries:
            self._shard(address)
        deposed = known.primaries() - primaries if known is not None else frozenset()
        # A primary without slots stays: it may be there because keys are on their way to it.
        for address in self._shards.keys() & (deposed | found.others()):
            self._give_up(address)
        self._invite(primaries)
        for tell in self._listeners:
            tell()
        self._known.set()

    def _give_up(self, address: Address) -> None:
        """Drop both connections to a node that serves nothing any more."""
        telemetry.redis_failovers_total.inc()
        shard = self._shards.pop(address)
        shard.refuse(NotExecutedError("another node serves this now"))
        self._say_farewell(shard.close())

    def _invite(self, primaries: frozenset[Address]) -> None:
        """Let every primary be a witness, beside the nodes of the URL."""
        wanted = primaries.union(self._url.nodes)
        for address in wanted - self._witnesses.keys():
            self._witnesses[address] = self._witness(address)
            self._witnesses[address].start()
        for address in self._witnesses.keys() - wanted:
            self._say_farewell(self._witnesses.pop(address).close())

    def _say_farewell(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(closing)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


class _NodeResolver(OneNode):
    """A node of a Cluster; who cannot reach it wants to know whether it still serves anything."""

    def __init__(self, endpoint: Endpoint, nudge: Callable[[], None]) -> None:
        super().__init__(endpoint)
        self._nudge = nudge

    @override
    async def primary(self) -> Endpoint:
        self._nudge()
        return await super().primary()


class _OwnerResolver(Resolver):
    """The primary of one key, whichever node that is."""

    def __init__(self, topology: ClusterTopology, key: str) -> None:
        self._topology = topology
        self._key = key
        self._owner: Address | None = None
        self._generation = 0

    @property
    @override
    def generation(self) -> int:
        owner = self._topology.owner(self._key)
        if owner != self._owner:
            self._owner = owner
            self._generation += 1
        return self._generation

    @override
    async def primary(self) -> Endpoint:
        self._topology.nudge()
        # At the start the map is a moment away.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_EVERY):
                await self._topology.known()
        owner = self._topology.owner(self._key)
        if owner is None:
            raise NobodyKnowsError("no node of the Cluster is known to serve this key")
        return self._topology.endpoint(owner)

    @override
    def on_change(self, tell: Callable[[], None]) -> None:
        seen = self.generation

        def compare() -> None:
            nonlocal seen
            if seen != self.generation:
                seen = self.generation
                tell()

        self._topology.on_learned(compare)

    @override
    def start(self) -> None:
        """The topology watches."""

    @override
    async def close(self) -> None:
        """The topology watches."""
