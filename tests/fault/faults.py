"""The faults, by their numbers in RELIABILITY section 12; each is a function of one trial."""

import asyncio
import contextlib
import signal
import time

from stepup.adapters.redis.operator import NotInTimeError
from stepup.adapters.redis.replies import CommandTrouble
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from tests.fault.history import Outcome
from tests.fault.instances import Instance, Protection
from tests.fault.trial import Trial, now
from tests.support.redis_cluster import tell, until

_ATTEMPTS = 64
_RECOVERS_WITHIN = 40


async def f1_many_at_once(trial: Trial) -> None:
    """64 concurrent redemptions, then consumptions, of one code over two instances; no fault."""
    (challenge,) = await trial.make_codes(1)
    async with trial.instance("a") as a, trial.instance("b") as b:
        pair = (a, b)
        if trial.protection is Protection.LOOK_AND_WRITE:
            await asyncio.gather(
                *(pair[i % 2].redeem_carelessly(challenge) for i in range(_ATTEMPTS))
            )
            return
        await asyncio.gather(*(pair[i % 2].redeem(challenge, now()) for i in range(_ATTEMPTS)))
        await asyncio.gather(*(pair[i % 2].consume(challenge) for i in range(_ATTEMPTS)))
        for operation in ("redeem", "consume"):
            assert len(trial.history.of(operation, Outcome.GRANTED)) == 1


async def f2_primary_killed(trial: Trial) -> None:
    """kill -9 of the primary under load."""
    codes = await trial.make_codes()
    stopped = asyncio.Event()
    async with trial.instance("a") as a, trial.instance("b") as b:
        until_time = now() + 15.0
        trial.begin(*(trial.create_until(each, stopped) for each in (a, b)))
        trial.begin(*(trial.spread(each, codes, until_time) for each in (a, b)))
        await asyncio.sleep(0.3 + trial.chance.random() * 0.7)
        await trial.kill_primary()
        await granted_again(trial, time.monotonic())
        await asyncio.sleep(1.0)
        stopped.set()
        await trial.finish()


async def f2_consumed_while_killed(trial: Trial) -> None:
    """kill -9 of the primary while two services at two instances use up the same tokens."""
    codes = await trial.make_codes(_ATTEMPTS)
    async with trial.instance("a") as a, trial.instance("b") as b:
        await asyncio.gather(*(a.redeem(each, now() + 15.0) for each in codes))
        until_time = now() + 15.0
        using = asyncio.gather(
            *(instance.consume(each, until_time) for each in codes for instance in (a, b))
        )
        await asyncio.sleep(trial.chance.random() * 0.02)
        await trial.kill_primary()
        await using
        assert len(trial.history.of("consume", Outcome.GRANTED)) >= _ATTEMPTS
        await trial.finish()


async def f2_links_lost_first(trial: Trial) -> None:
    """The replicas lose the primary under load, and a moment later it is killed.

    After a mere kill the kernel still sends what was written, so only this shows what `WAIT` is for.
    """
    codes = await trial.make_codes()
    old, replicas = await trial.cluster.primary(), await trial.cluster.replicas()
    if trial.protection is Protection.NO_WAIT:
        await tell(old.address, "CONFIG", "SET", "min-replicas-to-write", 0)
    async with trial.instance("a") as a, trial.instance("b") as b:
        until_time = now() + 15.0
        trial.begin(*(trial.spread(each, codes, until_time) for each in (a, b)))
        await asyncio.sleep(trial.chance.random() * 0.5)
        for node in replicas:
            node.send(signal.SIGSTOP)
        await tell(old.address, "CLIENT", "KILL", "TYPE", "replica")
        await asyncio.sleep(0.3)
        await trial.kill_primary()
        for node in replicas:
            node.send(signal.SIGCONT)
        await granted_again(trial, time.monotonic())
        await trial.finish()


async def f2_restarted_and_alone(trial: Trial) -> None:
    """The primary is killed, comes back, and then the two others are lost for a while.

    A Sentinel does not look at what a candidate was or what it holds, only at who is left.
    """
    codes = await trial.make_codes()
    async with trial.instance("a") as a:
        old = await trial.kill_primary()
        await granted_again(trial, time.monotonic())
        await trial.spread(a, codes, now() + 15.0)
        if trial.protection is Protection.OLD_DATA:
            await trial.start_as_it_was(old)
        else:
            await trial.cluster.start_again()
        await trial.cluster.hurry()  # or it would take them ten seconds to see that it is back
        await asyncio.sleep(trial.chance.uniform(0.5, 1.5))
        others = [node for node in trial.cluster.nodes if node is not old]
        for node in others:
            node.send(signal.SIGSTOP)
        trial.history.event("froze the two others")

        async def is_chosen() -> bool:
            return await trial.cluster.primary() is old

        with contextlib.suppress(NotInTimeError):
            await until(is_chosen, 4.0 + trial.cluster.down_after_ms / 1000, "a promotion")
        for node in others:
            node.send(signal.SIGCONT)
        await trial.finish()


async def f4_primary_frozen(trial: Trial) -> None:
    """SIGSTOP of the primary, SIGCONT after a random time."""
    await _freeze(trial, resume_at_promotion=False)


async def f5_primary_resumed_at_the_promotion(trial: Trial) -> None:
    """SIGSTOP of the primary, SIGCONT exactly when a replica is promoted."""
    await _freeze(trial, resume_at_promotion=True)


async def _freeze(trial: Trial, *, resume_at_promotion: bool) -> None:
    codes = await trial.make_codes()
    old = await trial.cluster.primary()
    async with trial.instance("late", pinned_to=old.address) as late, trial.instance("b") as b:
        old.send(signal.SIGSTOP)
        frozen = time.monotonic()
        until_time = now() + 8.0
        trial.begin(trial.spread(late, codes, until_time))
        promotion = asyncio.ensure_future(trial.cluster.promoted(old))
        if resume_at_promotion:
            await promotion
        else:
            down_after = trial.cluster.down_after_ms / 1000
            await asyncio.sleep(trial.chance.uniform(0.6, 3.0 + down_after))
        old.send(signal.SIGCONT)
        trial.begin(trial.spread(b, codes, until_time))
        await granted_again(trial, frozen)
        if not promotion.done():
            # Resumed before anybody decided: it stays the primary, which is fine.
            promotion.cancel()
        await trial.finish()


async def f6_bare_failover(trial: Trial) -> None:
    """`SENTINEL FAILOVER` under load, as operators do it and should not."""
    codes = await trial.make_codes()
    old = await trial.cluster.primary()
    async with trial.instance("late", pinned_to=old.address) as late, trial.instance("b") as b:
        until_time = now() + 8.0
        await trial.cluster.fail_over()
        half = len(codes) // 2
        trial.begin(trial.spread(late, codes[:half], until_time))
        promotion = asyncio.ensure_future(trial.cluster.promoted(old))
        trial.begin(*(_redeem_through(trial, late, code, until_time) for code in codes[half:]))
        await promotion
        trial.begin(trial.spread(b, codes, until_time))
        await trial.finish()


async def _redeem_through(trial: Trial, late: Instance, code: object, until_time: float) -> None:
    # All of the time from the command to the re-pointing of the other replica is a trap.
    await asyncio.sleep(trial.chance.random() * 2.0)
    await late.redeem(code, until_time)


async def f6_switchover(trial: Trial) -> None:
    """The planned switchover as docs/operations.md describes it, under load."""
    codes = await trial.make_codes()
    stopped = asyncio.Event()
    async with trial.instance("a") as a, trial.instance("b") as b:
        until_time = now() + 15.0
        trial.begin(*(trial.create_until(each, stopped) for each in (a, b)))
        trial.begin(*(trial.spread(each, codes, until_time) for each in (a, b)))
        await asyncio.sleep(0.3)
        trial.notes["switched"] = float(await trial.cluster.switch_over())
        await granted_again(trial, time.monotonic())
        stopped.set()
        await trial.finish()
    trial.notes["gap_s"] = trial.history.longest_gap()


async def f8_sentinels_frozen(trial: Trial) -> None:
    """One Sentinel frozen: a quarter of a second, once. Two: nothing is granted."""
    codes = await trial.make_codes()
    async with trial.instance("a") as a:
        trial.cluster.nodes[2].send_to_sentinel(signal.SIGSTOP)
        begun = time.monotonic()
        assert await a.redeem(codes[0], now()) is Outcome.GRANTED
        trial.notes["first_s"] = time.monotonic() - begun
        assert trial.notes["first_s"] < 0.25 + 0.25
        begun = time.monotonic()
        assert await a.redeem(codes[1], now()) is Outcome.GRANTED
        trial.notes["second_s"] = time.monotonic() - begun
        assert trial.notes["second_s"] < 0.2

        trial.cluster.nodes[1].send_to_sentinel(signal.SIGSTOP)
        refused = await asyncio.gather(*(a.redeem(code, now()) for code in codes[2:12]))
        assert set(refused) == {Outcome.UNKNOWN}


async def f10_replicas_frozen(trial: Trial) -> None:
    """Both replicas frozen: no grants, and reads are as quick as ever."""
    codes = await trial.make_codes()
    async with trial.instance("a") as a:
        for node in await trial.cluster.replicas():
            node.send(signal.SIGSTOP)
        redemptions = [asyncio.create_task(a.redeem(code, now())) for code in codes[:10]]
        took = []
        for _ in range(100):
            begun = time.monotonic()
            await a.client.call("EXISTS", "su:test:none")
            took.append(time.monotonic() - begun)
        assert set(await asyncio.gather(*redemptions)) <= {Outcome.UNKNOWN, Outcome.UNAVAILABLE}
        trial.notes["slowest_read_s"] = max(took)
        assert sorted(took)[90] < 0.05


async def f12_cancelled(trial: Trial) -> None:
    """Callers who leave, on the plain, the spending and the Sentinel connections."""
    await trial.make_codes(1)
    primary = await trial.cluster.primary()
    wrong: list[str] = []
    left = late = 0

    async def one(i: int, a: Instance) -> None:
        if i % 3 == 0:
            reply = await a.client.call("ECHO", f"{i}")
        elif i % 3 == 1:
            command = ("EVAL", "return {'said', ARGV[1]}", 0, f"{i}")
            reply = (await a.client.shards()[0].spending.send(command, now() + 5)).reply[1]
        else:
            await a.fence.check(primary.address)
            return
        if reply != b"%d" % i:
            wrong.append(f"{i}: {reply!r}")

    async with trial.instance("a") as a:
        loop = asyncio.get_running_loop()
        for batch in range(100):
            tasks = [asyncio.create_task(one(batch * 200 + i, a)) for i in range(200)]
            await asyncio.sleep(0)
            for task in tasks:
                if trial.chance.random() < 0.4:
                    loop.call_later(trial.chance.random() / 250, task.cancel)
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            left += sum(isinstance(each, asyncio.CancelledError) for each in ended)
            failed = [each for each in ended if isinstance(each, Exception)]
            # A starved machine answers late, which is no answer; a wrong one is never right.
            assert all(isinstance(each, CommandTrouble) for each in failed), failed
            late += len(failed)
    trial.notes |= {"operations": 20_000, "left": left, "late": late}
    assert not wrong
    assert late < 1_000
    assert left > 2_000


async def granted_again(trial: Trial, since: float) -> None:
    """Wait until something is granted after a moment, and note how long it took."""
    async with trial.instance("prober", protection=Protection.FULL) as prober:
        while True:
            begun = time.monotonic()
            try:
                challenge = await prober.create()
            except (DependencyUnavailableError, StepUpError):
                challenge = None
            if challenge is not None and begun >= since:
                trial.notes["recovered_s"] = time.monotonic() - since
                return
            assert time.monotonic() - since < _RECOVERS_WITHIN
            await asyncio.sleep(0.02)
