"""Move the primary on purpose, without losing a write (RELIABILITY section 3.1).

    pause writes -> replicas hold everything -> SENTINEL FAILOVER -> old primary held -> replica
         |                   |                          |
         +-------------------+--- undone on failure     +--- from here it goes to its end

A bare `SENTINEL FAILOVER` loses what the other replica acknowledges to the old primary before it
is sent to the new one. Here nothing is written meanwhile: first the pause sees to it, then a
`min-replicas-to-write` that nobody can meet. The pause alone would not do, since a longer one
holds back the Sentinels too, and behind them the order to become a replica.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
from redis.exceptions import RedisError, ResponseError

from stepup.adapters.redis import keys
from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.operator import NotInTimeError, tell, until
from stepup.adapters.redis.planned import announce_move, take_back
from stepup.adapters.redis.preference import preferred
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.survey import Survey, findings, look, spell
from stepup.adapters.system import SystemClock

# A pause of four seconds holds back a Sentinel for less than it takes to see a server down.
_PAUSE_MS = 4_000
# Before the pause ends by itself the old primary must be held in another way.
_HOLD_AFTER = 3.0
_IN_STEP_WITHIN = 2.0
_WRITES_WITHIN = 10.0
_HEALTHY_WITHIN = 30.0
# More than any set has replicas: nothing is written where so many must acknowledge.
_UNREACHABLE = 99
_LOOK_EVERY = 0.02

Report = Callable[[str], None]
"""Is told each step, in a few words."""


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """The primary has moved; `gap` is how long nothing could be written, in seconds."""

    old: Address
    new: Address
    gap: float
    attempts: int
    remarks: tuple[str, ...] = ()


class NotHealthyError(Exception):
    """The set is not fit to be switched over; nothing was done."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class KeptError(Exception):
    """The old primary was kept, by Sentinel or since a server refused. That is safe."""


class UnsettledError(Exception):
    """Nobody can say how it ended; the message says what an operator must look at."""


async def switch_over(
    url: SentinelUrl, *, to: Address | None = None, attempts: int = 3, report: Report
) -> Switched:
    """Move the primary to a replica, to a certain one if one is named.

    A cancellation undoes what was done, or waits for the end where that can no longer be.

    Raises:
        NotHealthyError: If the set is not healthy, or no such replica is in step.
        KeptError: If the old primary was kept each time, or a server refused a step.
        UnsettledError: If it did not end in time.
    """
    survey = await fit_to_move(url, to)
    async with preferred(url, survey, to, report):
        for attempt in range(1, attempts + 1):
            move = _Move(url, survey, attempt, report)
            try:
                new = await move.try_once()
            except (RedisError, OSError) as error:
                raise KeptError(f"undone, since {spell(move.old)} said: {error}") from error
            if new is not None:
                remarks = await _remarks(url)
                return Switched(
                    old=move.old, new=new, gap=move.gap, attempts=attempt, remarks=remarks
                )
            report(f"Sentinel kept {spell(move.old)}, which is safe ({attempt} of {attempts})")
    raise KeptError(f"Sentinel kept the old primary {attempts} times; it is in service")


async def fit_to_move(url: SentinelUrl, to: Address | None = None) -> Survey:
    """Look at the set and return what was seen, if its primary may be moved.

    Raises:
        NotHealthyError: If the set is not healthy, or no such replica is in step.
    """
    survey = await look(url)
    reasons = findings(survey)
    hiding = [each.address for each in survey.servers if each.min_replicas is None]
    reasons += [f"{spell(each)} does not show its min-replicas-to-write" for each in hiding]
    if not reasons and to is not None and to not in survey.replicas:
        known = ", ".join(map(spell, survey.replicas))
        reasons = [f"{spell(to)} is not a replica of this set; {known} are"]
    if reasons:
        raise NotHealthyError(reasons)
    return survey


async def _remarks(url: SentinelUrl) -> tuple[str, ...]:
    """Wait until all is well again; say what is not."""
    found: list[str] = []

    async def well() -> bool:
        found[:] = findings(await look(url))
        return not found

    with contextlib.suppress(NotInTimeError):
        await until(well, _HEALTHY_WITHIN, "a healthy set")
    return tuple(found)


async def _end_of(task: asyncio.Task[Address | None]) -> Address | None:
    """Wait for a task that must not be left, however often we are told to stop."""
    us = asyncio.current_task()
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    while us is not None and us.cancelling():
        us.uncancel()
    return task.result()


class _Move:
    """One attempt to move the primary."""

    def __init__(self, url: SentinelUrl, survey: Survey, attempt: int, report: Report) -> None:
        assert survey.primary is not None  # noqa: S101  a healthy set has one
        self.old = survey.primary
        self.gap = 0.0
        self._url = url
        self._survey = survey
        self._report = report
        # Another one each time: a Sentinel that gave up may have a reason of its own.
        self._acting = url.sentinels[(attempt - 1) % len(url.sentinels)]
        self._paused_at = 0.0
        (old,) = (each for each in survey.servers if each.address == self.old)
        self._min_replicas = old.min_replicas or 0
        self._is_held = False
        self._new: Address | None = None

    async def try_once(self) -> Address | None:
        """Return the new primary; None if Sentinel kept the old one."""
        async with self._announced(), self._paused():
            await self._replicas_hold_everything()
            # The failover has no way back, so whoever stops us waits for its end.
            ending = asyncio.create_task(self._hand_over())
            try:
                return await asyncio.shield(ending)
            except asyncio.CancelledError:
                self._report("too late to undo: waiting for the end")
                if await _end_of(ending) is None:
                    raise
                return ending.result()

    @asynccontextmanager
    async def _announced(self) -> AsyncIterator[None]:
        """Tell the instances that nothing will be lost, or they would raise a floor."""
        until_then = SystemClock().now() + timedelta(seconds=self._patience())
        await announce_move(self._at_old, until_then)
        try:
            yield
        finally:
            # Where another server is the primary already, this one refuses, and it is forgotten
            # there as soon as somebody has seen it.
            with contextlib.suppress(RedisError, OSError):
                await take_back(self._at_old)

    @asynccontextmanager
    async def _paused(self) -> AsyncIterator[None]:
        self._report(f"pausing writes on {spell(self.old)}")
        self._paused_at = self._now()
        try:
            await self._at_old("CLIENT", "PAUSE", _PAUSE_MS, "WRITE")
            yield
        finally:
            # It ends by itself too, so an old primary that cannot be reached is no trouble.
            with contextlib.suppress(RedisError, OSError):
                await self._at_old("CLIENT", "UNPAUSE")
            self.gap = self.gap or self._now() - self._paused_at

    async def _replicas_hold_everything(self) -> None:
        # Nothing is written any more, so whatever the primary has now is everything.
        (_, end, _) = await self._at_old("ROLE")

        async def in_step() -> bool:
            roles = await asyncio.gather(*(self._role(each) for each in self._survey.replicas))
            return all(role[0] == b"slave" and role[4] >= end for role in roles)

        try:
            await until(in_step, _IN_STEP_WITHIN, "replicas in step")
        except NotInTimeError as error:
            raise NotHealthyError([str(error)]) from None
        self._report("the replicas hold everything")

    async def _hand_over(self) -> Address | None:
        self._report(f"Sentinel {self._acting} fails over")
        try:
            await tell(self._acting, "SENTINEL", "FAILOVER", self._url.name)
        except RedisError as error:
            self._report(f"Sentinel {self._acting}: {error}")
            return None
        deadline = self._now() + self._patience()
        while self._now() < deadline:
            if await self._has_ended():
                await self._release()
                await self._see_writes()
                return self._new
            await asyncio.sleep(_LOOK_EVERY)
        raise UnsettledError(
            f"the failover did not end in {self._patience():.0f} s; when it has, on "
            f"{spell(self.old)} {self._by_hand()}"
        )

    async def _has_ended(self) -> bool:
        """Look once, hold the old primary when it is time, and say whether all is decided."""
        await self._find_new()
        if not self._is_held and (self._new or self._now() > self._paused_at + _HOLD_AFTER):
            await self._hold()
        if self._new is None:
            return await self._was_given_up()
        with contextlib.suppress(RedisError, OSError):
            await self._takes_writes()
        role = await self._role_if_any(self.old)
        return role is not None and role[0] == b"slave"

    async def _find_new(self) -> None:
        roles = await asyncio.gather(*(self._role_if_any(one) for one in self._survey.replicas))
        named = zip(self._survey.replicas, roles, strict=True)
        promoted = [address for address, role in named if role and role[0] == b"master"]
        if promoted and self._new is None:
            self._report(f"{spell(promoted[0])} is promoted")
        self._new = promoted[0] if promoted else None

    async def _was_given_up(self) -> bool:
        with contextlib.suppress(RedisError, OSError):
            known = await tell(self._acting, "SENTINEL", "MASTER", self._url.name)
            same = (known[b"ip"].decode(), int(known[b"port"])) == self.old
            return same and b"failover_in_progress" not in known[b"flags"]
        return False

    async def _hold(self) -> None:
        """Keep the old primary from writing, and let go of the pause that holds back Sentinels."""
        with contextlib.suppress(RedisError, OSError):
            await self._at_old("CONFIG", "SET", "min-replicas-to-write", _UNREACHABLE)
            self._is_held = True
            await self._at_old("CLIENT", "UNPAUSE")

    async def _release(self) -> None:
        async def restored() -> bool:
            await self._at_old("CONFIG", "SET", "min-replicas-to-write", self._min_replicas)
            # Sentinel has had the other value written; without a file nothing was.
            with contextlib.suppress(ResponseError):
                await self._at_old("CONFIG", "REWRITE")
            return True

        try:
            await until(restored, _IN_STEP_WITHIN, "a setting restored")
        except NotInTimeError:
            self._report(f"by hand, on {spell(self.old)}: {self._by_hand()}")

    def _by_hand(self) -> str:
        return f"CONFIG SET min-replicas-to-write {self._min_replicas}, then CONFIG REWRITE"

    async def _see_writes(self) -> None:
        if self._new is not None:
            with contextlib.suppress(NotInTimeError):
                await until(self._takes_writes, _WRITES_WITHIN, "a write")

    async def _takes_writes(self) -> bool:
        """Note when the new primary takes a write for the first time."""
        if self.gap or self._new is None:
            return True
        probe = ("SET", keys.switchover_probe(), 1, "PX", 1000)
        await tell(self._url.server(self._new), *probe)
        self.gap = self._now() - self._paused_at
        self._report(f"{spell(self._new)} takes writes")
        return True

    async def _role_if_any(self, address: Address) -> Any:
        with contextlib.suppress(RedisError, OSError):
            return await self._role(address)
        return None

    async def _role(self, address: Address) -> Any:
        return await tell(self._url.server(address), "ROLE")

    async def _at_old(self, *command: str | int) -> Any:
        return await tell(self._url.server(self.old), *command)

    def _patience(self) -> float:
        longest = max(view.failover_timeout_ms for view in self._survey.sentinels)
        return 2 * longest / 1000 + 15

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
