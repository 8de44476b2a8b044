"""F24: one fault after another, chosen at random, while instances work."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from stepup.adapters.redis.switchover import UnsettledError
from tests.fault.faults import granted_again
from tests.fault.trial import Trial, now

_FAULTS_PER_TRIAL = 4


async def f24_one_after_another(trial: Trial) -> None:
    """Kills, freezes and failovers of any node, each on a set that has recovered from the last."""
    codes = await trial.make_codes()
    stopped = asyncio.Event()
    async with trial.instance("a") as a, trial.instance("b") as b:
        trial.begin(*(trial.create_until(each, stopped) for each in (a, b)))
        share = len(codes) // _FAULTS_PER_TRIAL
        for n in range(_FAULTS_PER_TRIAL):
            until_time = now() + 15.0
            some = codes[n * share : (n + 1) * share]
            trial.begin(*(trial.spread(each, some, until_time) for each in (a, b)))
            name, fault = trial.chance.choice(_CHOICES)
            trial.history.event(name)
            await fault(trial)
            await granted_again(trial, time.monotonic())
            await trial.mend()
            await trial.cluster.unhurry()
        stopped.set()
        await trial.finish()


async def _kill_primary(trial: Trial) -> None:
    await trial.kill_primary()
    await asyncio.sleep(trial.chance.uniform(0.1, 3.0))


async def _kill_replica(trial: Trial) -> None:
    trial.chance.choice(await trial.cluster.replicas()).send(signal.SIGKILL)
    await asyncio.sleep(trial.chance.uniform(0.1, 3.0))


async def _freeze_any(trial: Trial) -> None:
    node = trial.chance.choice(trial.cluster.nodes)
    node.send(signal.SIGSTOP)
    await asyncio.sleep(_long_enough(trial))
    node.send(signal.SIGCONT)


async def _freeze_host(trial: Trial) -> None:
    node = trial.chance.choice(trial.cluster.nodes)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        node.send(number)
        node.send_to_sentinel(number)
        if number is signal.SIGSTOP:
            await asyncio.sleep(_long_enough(trial))


async def _fail_over(trial: Trial) -> None:
    await trial.cluster.fail_over()
    await asyncio.sleep(trial.chance.uniform(0.1, 3.0))


async def _switch_over(trial: Trial) -> None:
    # An operator whose switchover did not end puts the setting back, as it tells him to.
    try:
        await trial.cluster.switch_over()
    except UnsettledError as error:
        trial.history.event(str(error))
        trial.notes["unsettled"] = trial.notes.get("unsettled", 0) + 1
        await trial.cluster.restore()


def _long_enough(trial: Trial) -> float:
    """Shorter or longer than it takes until somebody else is the primary."""
    return trial.chance.uniform(0.2, 3.0 + trial.cluster.down_after_ms / 1000)


_CHOICES: tuple[tuple[str, Callable[[Trial], Awaitable[None]]], ...] = (
    ("kill the primary", _kill_primary),
    ("kill a replica", _kill_replica),
    ("freeze a server", _freeze_any),
    ("freeze a host", _freeze_host),
    ("bare failover", _fail_over),
    ("switchover", _switch_over),
)
