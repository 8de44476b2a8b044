"""The planned switchover over real servers: it moves, refuses, gives way, and leaves no trace."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.exceptions import RedisError

from stepup.adapters.redis import keys, switchover
from stepup.adapters.redis.operator import NotInTimeError
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.switchover import (
    KeptError,
    NotHealthyError,
    fit_to_move,
    switch_over,
)
from tests.support.redis_cluster import RedisCluster, running_cluster, tell, until

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster_of_module() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
async def cluster(cluster_of_module: RedisCluster) -> AsyncIterator[RedisCluster]:
    """The set, healthy before and after; no switchover leaves a setting or a pause behind."""
    yield cluster_of_module
    await cluster_of_module.mend()
    for node in cluster_of_module.nodes:
        for name, value in (("min-replicas-to-write", b"1"), ("replica-priority", b"100")):
            assert await tell(node.address, "CONFIG", "GET", name) == {name.encode(): value}
            written = (node._folder / "server.conf").read_text()
            assert "min-replicas-to-write 99" not in written
            assert "replica-priority 1\n" not in written


@pytest.fixture
def url(cluster: RedisCluster) -> SentinelUrl:
    return SentinelUrl.parse(cluster.url)


class Steps(list[str]):
    """What was reported; waits for a step."""

    async def reached(self, word: str) -> None:
        async def said() -> bool:
            return any(word in line for line in self)

        await until(said, 10, word)


async def test_moves_the_primary_and_loses_nothing_that_was_acknowledged(
    cluster: RedisCluster, url: SentinelUrl
):
    old, steps = await cluster.primary(), Steps()
    stopped, acknowledged = asyncio.Event(), []

    async def write() -> None:
        """Write to whoever is or was the primary, as a client that heard of nothing does."""
        number = 0
        while not stopped.is_set():
            number += 1
            reply = await tell(old.address, "SET", f"su:test:moved:{number}", 1, seconds=20)
            assert reply == b"OK"
            acknowledged.append(number)

    writing = asyncio.create_task(write())
    moved = await switch_over(url, report=steps.append)
    stopped.set()
    refused = (await asyncio.gather(writing, return_exceptions=True))[0]

    assert moved.old == old.address
    assert moved.new == (await cluster.primary()).address
    assert 0 < moved.gap < 8
    assert moved.remarks == ()
    assert isinstance(refused, RedisError | OSError)  # it is not its business any more
    assert acknowledged
    keys = [f"su:test:moved:{number}" for number in acknowledged]
    assert await tell(moved.new, "EXISTS", *keys) == len(keys)
    assert [step.split()[0] for step in steps][:2] == ["pausing", "the"]


async def test_moves_it_to_the_replica_that_is_wanted(cluster: RedisCluster, url: SentinelUrl):
    _, wanted = await cluster.replicas()
    moved = await switch_over(url, to=wanted.address, report=Steps().append)
    assert moved.new == wanted.address


async def test_refuses_a_target_that_is_no_replica(cluster: RedisCluster, url: SentinelUrl):
    old = await cluster.primary()
    with pytest.raises(NotHealthyError, match="is not a replica of this set"):
        await switch_over(url, to=old.address, report=Steps().append)


@pytest.mark.parametrize("away", ["replica", "sentinel"])
async def test_refuses_when_somebody_is_away_and_touches_nothing(
    cluster: RedisCluster, url: SentinelUrl, away: str
):
    old, steps = await cluster.primary(), Steps()
    (replica, _) = await cluster.replicas()
    (replica.send if away == "replica" else replica.send_to_sentinel)(signal.SIGSTOP)
    with pytest.raises(NotHealthyError, match="does not answer"):
        await switch_over(url, report=steps.append)
    assert steps == []
    assert await cluster.primary() is old


async def test_refuses_while_a_failover_is_under_way(cluster: RedisCluster, url: SentinelUrl):
    await cluster.fail_over()
    with pytest.raises(NotHealthyError, match="is failing over"):
        await switch_over(url, report=Steps().append)


async def test_says_that_the_old_primary_was_kept_when_sentinel_will_not(
    cluster: RedisCluster, url: SentinelUrl
):
    old = await cluster.primary()
    await give_priority(cluster, url, 0)
    with pytest.raises(KeptError, match="2 times"):
        await switch_over(url, attempts=2, report=Steps().append)
    assert await cluster.primary() is old
    assert await tell(old.address, "SET", "su:test:kept", 1, "PX", 100) == b"OK"
    await give_priority(cluster, url, 100)


async def give_priority(cluster: RedisCluster, url: SentinelUrl, priority: int) -> None:
    """Give both replicas a priority, and wait until every Sentinel knows."""
    for node in await cluster.replicas():
        await tell(node.address, "CONFIG", "SET", "replica-priority", priority)

    async def all_know() -> bool:
        seen = (await fit_to_move(url)).sentinels
        return all(set(view.priorities.values()) == {priority} for view in seen)

    await until(all_know, 10, "priorities seen")


async def test_stopped_while_writes_are_paused_it_lets_go_at_once(
    cluster: RedisCluster, url: SentinelUrl, monkeypatch
):
    old, steps = await cluster.primary(), Steps()
    forever = asyncio.Event()
    monkeypatch.setattr(switchover._Move, "_replicas_hold_everything", lambda _move: forever.wait())
    moving = asyncio.create_task(switch_over(url, report=steps.append))
    await steps.reached("pausing")
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError):
        await tell(old.address, "SET", "su:test:paused", 1, "PX", 100, seconds=0.3)
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert await tell(old.address, "SET", "su:test:resumed", 1, "PX", 100) == b"OK"


@pytest.mark.parametrize("moment", ["fails over", "is promoted"])
async def test_stopped_after_the_point_of_no_return_it_goes_to_its_end(
    cluster: RedisCluster, url: SentinelUrl, moment: str
):
    steps = Steps()
    moving = asyncio.create_task(switch_over(url, report=steps.append))
    await steps.reached(moment)
    moving.cancel()
    await asyncio.sleep(0.05)
    moving.cancel()
    # Sentinel may still give up, and then it is stopped; the fixture looks for what is left.
    (ended,) = await asyncio.gather(moving, return_exceptions=True)
    assert "too late to undo: waiting for the end" in steps
    if not isinstance(ended, asyncio.CancelledError):
        assert ended.new == (await cluster.primary()).address


async def test_replicas_that_do_not_catch_up_end_it_and_writes_go_on(
    cluster: RedisCluster, url: SentinelUrl, monkeypatch
):
    old, steps = await cluster.primary(), Steps()

    async def late(*_: object) -> None:
        raise NotInTimeError("replicas in step: not within 2 s")

    monkeypatch.setattr(switchover, "until", late)
    with pytest.raises(NotHealthyError, match="replicas in step"):
        await switch_over(url, report=steps.append)
    assert await tell(old.address, "SET", "su:test:late", 1, "PX", 100) == b"OK"


async def test_a_move_that_was_announced_raises_no_floor_and_one_that_failed_is_taken_back(
    cluster: RedisCluster, url: SentinelUrl
):
    old = await cluster.primary()
    await tell(old.address, "HSET", keys.generation(), "v", 1)
    moved = await switch_over(url, report=Steps().append)
    assert int(await tell(moved.new, "HGET", keys.generation(), "leaving_until")) > 0

    await give_priority(cluster, url, 0)
    with pytest.raises(KeptError):
        await switch_over(url, attempts=1, report=Steps().append)
    assert await tell(moved.new, "HGET", keys.generation(), "leaving_until") == b"0"
    await give_priority(cluster, url, 100)
