"""One trial: codes that every node holds, a fault under load, a healed set, and a verdict."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import structlog

from stepup.adapters.redis.endpoint import Address
from stepup.domain.challenge import Challenge
from tests.fault.checker import check
from tests.fault.edges import Edges
from tests.fault.history import History, Outcome
from tests.fault.instances import Instance, Protection
from tests.support.builders import a_challenge
from tests.support.redis_cluster import Node, RedisCluster, tell, until

_log = structlog.get_logger()

CODES = 48
_LOAD_PAUSE = 0.03
_VETO_ENDS_WITHIN = 15.0


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one trial."""

    operations: int
    granted: int
    unknown: int
    violations: dict[str, list[str]]
    recovered_s: float | None = None
    notes: dict[str, float] = {}


class Trial:
    """The set, the chance and the history of one trial."""

    def __init__(
        self, cluster: RedisCluster, protection: Protection, chance: random.Random
    ) -> None:
        self.cluster = cluster
        self.protection = protection
        self.chance = chance
        self.history = History()
        self.safe: list[Challenge] = []
        self.notes: dict[str, float] = {}
        self._running: list[asyncio.Task[object]] = []

    @asynccontextmanager
    async def instance(
        self,
        name: str,
        pinned_to: Address | None = None,
        protection: Protection | None = None,
        edges: Edges | None = None,
    ) -> AsyncIterator[Instance]:
        """An instance of the service, connected."""
        instance = Instance(
            self.cluster.url, name, self.history, protection or self.protection, pinned_to, edges
        )
        await instance.open()
        try:
            yield instance
        finally:
            await instance.close()

    async def make_codes(self, count: int = CODES) -> Sequence[Challenge]:
        """Make codes and wait until both replicas hold them."""
        async with self.instance("maker", protection=Protection.FULL) as maker:
            # A split vote of the trial before is a veto until it is three failover time-outs old.
            begun = now()
            while await maker.create() is None:
                address = (await self.cluster.primary()).address
                seen = [await each.ask(address) for each in maker.sentinels.sentinels]
                _log.info("not_granted_yet", sightings=seen)
                assert now() < begun + _VETO_ENDS_WITHIN, "nothing is granted before the trial"
            self.notes["waited_s"] = now() - begun
            made = await asyncio.gather(*(maker.create() for _ in range(count)))
        assert None not in made, "the set was not healthy before the trial"
        self.safe = [challenge for challenge in made if challenge]
        primary = await self.cluster.primary()
        made_at: int = (await tell(primary.address, "ROLE"))[1]

        async def in_step() -> bool:
            replicas = (await tell(primary.address, "ROLE"))[2]
            return len(replicas) == 2 and all(int(each[2]) >= made_at for each in replicas)

        await until(in_step, 5, "replicas in step")
        # From here on the Sentinels are as slow, and as slow to correct each other, as on a site.
        await self.cluster.unhurry()
        return self.safe

    async def kill_primary(self) -> Node:
        """kill -9 of the primary."""
        node = await self.cluster.primary()
        node.send(signal.SIGKILL)
        self.history.event(f"killed {node.address[0]}")
        return node

    async def mend(self) -> None:
        """Make the set whole again, in the control arm as whoever restarts at once does."""
        if self.protection is Protection.OLD_DATA:
            for node in self.cluster.nodes:
                if node.server and not node.server.alive:
                    await self.start_as_it_was(node)
        await self.cluster.mend()

    async def start_as_it_was(self, node: Node) -> None:
        """Start a server that died with its own file, which is what a control arm does."""

        async def is_gone() -> bool:
            return node.server is not None and not node.server.alive

        await until(is_gone, 5, "a dead server")
        node.start(None, {})

    def begin(self, *work: Awaitable[object]) -> None:
        """Let something go on beside the fault."""
        self._running += [asyncio.ensure_future(each) for each in work]

    async def spread(
        self, instance: Instance, challenges: Sequence[Challenge], until_time: float
    ) -> None:
        """Redeem codes one after another, without waiting for one to end."""
        async with asyncio.TaskGroup() as group:
            for challenge in challenges:
                group.create_task(instance.redeem(challenge, until_time))
                await asyncio.sleep(self.chance.random() * 2 * _LOAD_PAUSE)

    async def create_until(self, instance: Instance, stopped: asyncio.Event) -> None:
        """Make codes and redeem every other one, until told to stop."""
        count = 0
        while not stopped.is_set():
            challenge = await instance.create()
            if challenge is not None and (count := count + 1) % 2:
                await instance.redeem(challenge, now() + 1.0)
            await asyncio.sleep(_LOAD_PAUSE)

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._running)

    async def sweep(self) -> None:
        """On the healed set a fresh instance tries everything that anybody was promised."""
        self.history.event("mended")
        await self.mend()
        created = {one.target for one in self.history.of("create", Outcome.GRANTED)}
        settled = {
            one.target
            for one in self.history.of("redeem")
            if one.instance == "sweeper" and one.outcome is not Outcome.UNKNOWN
        }
        async with self.instance("sweeper", protection=Protection.FULL) as sweeper:
            known = {challenge.id: challenge for challenge in self.safe}
            left = [known.get(target) or _named(target) for target in created - settled]
            await asyncio.gather(*(sweeper.redeem(each, now() + 5.0) for each in left))

    def result(self, *, nothing_lost: bool) -> TrialResult:
        """Check the history."""
        tries = self.history.tries
        return TrialResult(
            operations=len(tries),
            granted=sum(one.outcome is Outcome.GRANTED for one in tries),
            unknown=sum(one.outcome is Outcome.UNKNOWN for one in tries),
            violations=check(
                self.history, {each.id for each in self.safe}, nothing_lost=nothing_lost
            ),
            recovered_s=self.notes.get("recovered_s"),
            notes=self.notes,
        )


Fault = Callable[[Trial], Awaitable[None]]


def now() -> float:
    """The event loop's time."""
    return asyncio.get_running_loop().time()


def _named(challenge_id: str) -> Challenge:
    # All codes are bound to the same client and redirect URI, so the identifier is enough.
    return a_challenge(id=challenge_id)
