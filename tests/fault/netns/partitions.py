"""F3 and F7: a host is lost, and the network parts what belongs together."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Collection, Sequence

from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.operator import NotInTimeError
from tests.fault.edges import edges_to
from tests.fault.faults import granted_again
from tests.fault.instances import Protection
from tests.fault.netns.network import NetCluster
from tests.fault.trial import Trial, now
from tests.support.redis_cluster import Node, tell


async def f3_host_lost(trial: Trial) -> None:
    """The primary's host loses its links under load, one after another, and then its processes."""
    cluster = _net(trial)
    codes = await trial.make_codes()
    old, replicas = await cluster.primary(), await cluster.replicas()
    await _weaken(trial, old)
    async with trial.instance("a") as a, trial.instance("b") as b:
        until_time = now() + 15.0
        trial.begin(*(trial.spread(each, codes, until_time) for each in (a, b)))
        await asyncio.sleep(trial.chance.uniform(0.2, 0.6))
        cluster.network.part(_hosts(old, servers=True), _hosts(*replicas, servers=True))
        await asyncio.sleep(trial.chance.uniform(0.0, 0.3))
        cluster.network.isolate(*_hosts(old, servers=True, sentinels=True))
        old.send(signal.SIGKILL)
        old.send_to_sentinel(signal.SIGKILL)
        trial.history.event(f"lost {old.address[0]}")
        await granted_again(trial, time.monotonic())
        await trial.finish()


async def f7_primary_cut_off(trial: Trial) -> None:
    """{primary, its Sentinel, a client} on one side, everything else on the other."""
    old, others = await _sides(trial)
    await _parted(trial, [old], others, reaches=[old.sentinel_address])


async def f7_one_way(trial: Trial) -> None:
    """What the primary's host sends to the others is lost; what they send arrives."""
    old, others = await _sides(trial)
    await _parted(trial, [old], others, reaches=[old.sentinel_address], one_way=True)


async def f7_primary_and_a_replica_cut_off(trial: Trial) -> None:
    """{primary, a replica, a client} on one side, the other replica and all Sentinels there.

    Sentinels apart from their servers, which nobody should have: the replica goes on acknowledging
    what a deposed primary writes.
    """
    old, (second, third) = await _sides(trial)
    cluster = _net(trial)
    sentinels = _hosts(*cluster.nodes, sentinels=True)
    cluster_side = [*_hosts(third, servers=True), *sentinels]
    await _with_clients(
        trial,
        old,
        lambda: cluster.network.part(_hosts(old, second, servers=True), cluster_side),
        reaches=[],
    )


async def _parted(
    trial: Trial,
    some: Sequence[Node],
    others: Sequence[Node],
    *,
    reaches: Collection[Address],
    one_way: bool = False,
) -> None:
    both = {"servers": True, "sentinels": True}
    sides = _hosts(*some, **both), _hosts(*others, **both)
    network = _net(trial).network
    await _with_clients(
        trial, some[0], lambda: network.part(*sides, one_way=one_way), reaches=reaches
    )


async def _with_clients(
    trial: Trial, old: Node, part: Callable[[], None], *, reaches: Collection[Address]
) -> None:
    """Part the network; one instance stays at the old primary, another goes where Sentinels say.

    Of the Sentinels the first one reaches only some, since it is on the old primary's side.
    """
    cluster, codes = trial.cluster, trial.safe
    await _weaken(trial, old)
    sentinels = [node.sentinel_address for node in cluster.nodes]
    servers = [node.address for node in cluster.nodes]
    async with (
        edges_to([*sentinels, *servers], trial.chance) as edges,
        trial.instance("cut", pinned_to=old.address, edges=edges) as cut,
        trial.instance("b") as b,
    ):
        part()
        trial.history.event(f"parted {old.address[0]}")
        for address in set(sentinels) - set(reaches):
            edges.by_address[address].cut()
        half, until_time = len(codes) // 2, now() + 12.0
        trial.begin(trial.spread(cut, codes[:half], until_time))
        with contextlib.suppress(NotInTimeError):
            await cluster.promoted(old, 5.0 + cluster.down_after_ms / 1000)
            trial.notes["promoted"] = 1
        trial.begin(trial.spread(cut, codes[half:], until_time))
        trial.begin(trial.spread(b, codes, until_time))
        await asyncio.sleep(trial.chance.uniform(2.0, 4.0))
        _net(trial).network.heal()
        trial.history.event("healed")
        for edge in edges.all():
            edge.join()
        await trial.finish()


async def _sides(trial: Trial) -> tuple[Node, list[Node]]:
    await trial.make_codes()
    return await trial.cluster.primary(), await trial.cluster.replicas()


async def _weaken(trial: Trial, primary: Node) -> None:
    # Without its own rule the primary would stop by itself, some seconds later.
    if trial.protection in {Protection.NO_WAIT, Protection.NOTHING}:
        await tell(primary.address, "CONFIG", "SET", "min-replicas-to-write", 0)


def _hosts(*nodes: Node, servers: bool = False, sentinels: bool = False) -> list[str]:
    found = [node.address[0] for node in nodes] if servers else []
    return found + ([node.sentinel_address[0] for node in nodes] if sentinels else [])


def _net(trial: Trial) -> NetCluster:
    assert isinstance(trial.cluster, NetCluster)
    return trial.cluster
