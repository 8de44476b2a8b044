"""Faults after which a state does not remember what was used: F9 and F22.

A code of an authenticator app is brought again around the fault, to other instances and in both
orders; at most one attempt may get in with it. The control arm has no floor, and no fence either,
which would keep most of it from happening.
"""

import asyncio
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from stepup.adapters.redis import keys
from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.steps import RedisStepStore
from stepup.adapters.system import SystemClock, SystemEntropy
from stepup.ceremonies import otp
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from stepup.domain.ids import AuthenticatorId, SubjectId
from tests.contracts.generations import current
from tests.fault.history import Outcome
from tests.fault.instances import Instance, Protection
from tests.fault.trial import Trial, now
from tests.support.builders import A_TOTP_SECRET, a_subject, an_attempt
from tests.support.redis_cluster import NAME, Node, RedisCluster, tell

STEP = "step"
SUBJECTS = 48
_CLOCK = SystemClock()
_PAUSE = 0.02
# Further ahead than any code of before the fault.
_LATER = 4

Who = tuple[SubjectId, AuthenticatorId]


class _NoFloor(RedisGenerations):
    """Takes every server for one that remembers everything."""

    @override
    async def floor_under(self, history: str) -> datetime | None:
        return None


class Door:
    """An instance that accepts codes, and remembers nothing of them by itself."""

    def __init__(self, trial: Trial, instance: Instance) -> None:
        kind = _NoFloor if trial.protection is Protection.NO_FLOOR else RedisGenerations
        self.generations = kind(instance.client, _CLOCK, SystemEntropy())
        self._instance = instance
        self._trial = trial

    async def bring(self, who: Who, step: int, until_time: float) -> Outcome:
        """Bring the code of a step; what is not answered is repeated with the same attempt."""
        attempt = an_attempt()
        while True:
            target = f"{who[1]} at {step}"
            with self._trial.history.trying(self._instance.name, STEP, target, attempt) as one:
                one.outcome = await self._try(who, step, attempt)
            if one.outcome not in {Outcome.UNKNOWN, Outcome.UNAVAILABLE} or now() > until_time:
                return one.outcome
            await asyncio.sleep(_PAUSE)

    async def _try(self, who: Who, step: int, attempt: str) -> Outcome:
        # Made anew each time: the second home in the process is another protection.
        store = RedisStepStore(self._instance.client, self.generations)
        since = otp.possible_since(A_TOTP_SECRET, step)
        try:
            accepted = await store.accept(*who, step, attempt, possible_since=since)
        except OutcomeUnknownError:
            return Outcome.UNKNOWN
        except DependencyUnavailableError:
            return Outcome.UNAVAILABLE
        return Outcome.GRANTED if accepted else Outcome.TAKEN


async def f9_restarted_empty(trial: Trial) -> None:
    """The primary comes back at once and empty, and empties its replicas."""
    people = await _people(trial)
    async with _door(trial, "a") as a, _door(trial, "b") as b:
        step = _step()
        used = [await a.bring(who, step, now() + 5) for who in people[: SUBJECTS // 2]]
        assert set(used) == {Outcome.GRANTED}
        before = await current(a.generations)
        bringing = [
            asyncio.create_task(door.bring(who, step, now() + 10))
            for who in people
            for door in (a, b)
        ]
        old = await trial.cluster.primary()
        async with _unseen(trial.cluster):
            await _restart_empty(old)
            await asyncio.gather(*bringing)
        await asyncio.gather(
            *(door.bring(who, step, now() + 10) for who in people for door in (a, b))
        )
        after = await current(b.generations)
        assert after.id != before.id
        await _gets_in_again(b, people[0])


async def f22_one_code_twice(trial: Trial) -> None:
    """The primary is frozen and resumed at the promotion; each code comes to both sides."""
    people = await _people(trial)
    old = await trial.cluster.primary()
    async with _door(trial, "late", old.address) as late, _door(trial, "b") as b:
        step = _step()
        before = people[: SUBJECTS // 3]
        used = [await late.bring(who, step, now() + 5) for who in before]
        assert Outcome.GRANTED in used
        old.send(signal.SIGSTOP)
        until_time = now() + 10.0
        # Half of them wait at the frozen server, to be served when it goes on; the other half
        # comes there when others were let in elsewhere.
        trial.begin(_bring_all(trial, late, people[::2], step, until_time))
        await trial.cluster.promoted(old)
        old.send(signal.SIGCONT)
        trial.begin(_bring_all(trial, b, people, step, until_time))
        trial.begin(_bring_all(trial, late, people[1::2], step, until_time))
        await trial.finish()
        await _gets_in_again(b, people[0])


async def _bring_all(
    trial: Trial, door: Door, people: Sequence[Who], step: int, until_time: float
) -> None:
    """Bring a code for each, one after another, without waiting for one to end."""
    async with asyncio.TaskGroup() as group:
        for who in people:
            group.create_task(door.bring(who, step, until_time))
            await asyncio.sleep(trial.chance.random() * 2 * _PAUSE)


@asynccontextmanager
async def _unseen(cluster: RedisCluster) -> AsyncIterator[None]:
    """Whatever happens meanwhile, no Sentinel takes a server for dead."""
    known = await tell(cluster.nodes[0].sentinel_address, "SENTINEL", "MASTER", NAME)
    await _be_patient(cluster, 20_000)
    yield
    # Not sooner: a Sentinel that has not reached the server yet would count the time of before.
    await cluster.healthy()
    await _be_patient(cluster, int(known[b"down-after-milliseconds"]))


async def _restart_empty(node: Node) -> None:
    """What a supervisor does at once with a server that keeps no file."""
    folder = (await tell(node.address, "CONFIG", "GET", "dir"))[b"dir"].decode()
    assert node.server is not None
    node.server.stop(signal.SIGKILL)
    shutil.rmtree(Path(folder) / "appendonlydir")
    node.start(None, {})


async def _be_patient(cluster: RedisCluster, down_after_ms: int) -> None:
    for node in cluster.nodes:
        setting = ("down-after-milliseconds", down_after_ms)
        await tell(node.sentinel_address, "SENTINEL", "SET", NAME, *setting)


async def _gets_in_again(door: Door, who: Who) -> None:
    """The floor is no wall: a later code is accepted."""
    assert await door.bring(who, _step() + _LATER, now() + 20) is Outcome.GRANTED


@asynccontextmanager
async def _door(trial: Trial, name: str, pinned_to: Address | None = None) -> AsyncIterator[Door]:
    async with trial.instance(name, pinned_to) as instance:
        door = Door(trial, instance)
        door.generations.start()
        try:
            await current(door.generations)
            yield door
        finally:
            await door.generations.close()


async def _people(trial: Trial) -> list[Who]:
    """Return subjects to whom no floor of an earlier trial applies."""
    await tell((await trial.cluster.primary()).address, "DEL", keys.generation())
    return [(a_subject().id, AuthenticatorId(secrets.token_urlsafe(8))) for _ in range(SUBJECTS)]


def _step() -> int:
    return int(_CLOCK.now().timestamp()) // A_TOTP_SECRET.period
