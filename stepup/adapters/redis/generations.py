"""The generation of the state: looked for behind every new connection, and every second.

A spend says to which history of the data it belongs. What was accepted there counts only when it is
known what that history has lost, and is then compared with the floor. So between the first use of
an empty or younger primary and the raising of the floor nobody accepts what the floor is for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
import structlog
from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import BUDGET, RedisClient, Reply
from stepup.adapters.redis.line import stop
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError, StepUpError
from stepup.domain.generation import NOBODY_KNOWS, Finding, Generation, judge
from stepup.domain.ids import GenerationId
from stepup.ports import Clock, Entropy, GenerationRecord, Generations, NoRecord

LOOK_EVERY = 1.0
# Somebody may wait for what could not be found out.
LOOK_AGAIN = 0.02

_KEPT_MS = span_ms(keys.GENERATION_KEPT)
# Of the 64 youngest histories, each with the space before it: more than there are servers.
_LONGEST = 64 * 41

_log = structlog.get_logger()


class RedisGenerations(Generations):
    """One hash; what an instance has seen of it is the first to know that it is gone."""

    def __init__(self, client: RedisClient, clock: Clock, entropy: Entropy) -> None:
        self.record: GenerationRecord = NoRecord()
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._current: Generation | None = None
        self._settled: frozenset[str] = frozenset()
        # Of the state that we last saw; another one that lacks them is an older one.
        self._seen_with: frozenset[str] = frozenset()
        self._recorded: GenerationId | None = None
        self._is_sure = False
        self._lost: list[Generation] = []
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def floor_at(self) -> datetime | None:
        """The floor as far as it is known."""
        return self._current.floor_at if self._current else None

    def start(self) -> None:
        """Begin to look, in the event loop that uses the client."""
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop looking."""
        await stop(self._keeper)

    async def floor_under(self, history: str) -> datetime | None:
        """Return the floor that holds for what was just accepted in a history.

        Raises:
            OutcomeUnknownError: If nobody can say in time what that history has lost.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BUDGET):
                while history not in self._settled:
                    self._asked.set()
                    await self._news.wait()
        if history not in self._settled:
            raise OutcomeUnknownError
        return self.floor_at

    @override
    async def current(self) -> Generation:
        if self._current is None or not self._is_sure:
            raise DependencyUnavailableError
        return self._current

    @override
    async def raise_floor(self, at: datetime) -> None:
        await self.current()
        self._learn(await self._raise(epoch_ms(at), frozenset()), self._settled)

    @override
    async def losses(self) -> AsyncIterator[Generation]:
        told = 0
        while True:
            for generation in self._lost[told:]:
                told += 1
                yield generation
            await self._news.wait()

    async def _keep(self) -> None:
        while True:
            pause = LOOK_EVERY
            self._asked.clear()
            try:
                await self._look()
            except StepUpError:
                self._is_sure, pause = False, LOOK_AGAIN
            except Exception:  # noqa: BLE001  whatever it was: without us nothing is accepted
                _log.exception("generation_not_found_out")
                self._is_sure = False
            await asyncio.sleep(LOOK_AGAIN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause - LOOK_AGAIN):
                    await self._asked.wait()

    async def _look(self) -> None:
        """Look, and do what is to be done, until there is nothing to do."""
        earlier = await self._earlier()
        while True:
            reply, others = await asyncio.gather(self._renew(), self._client.histories())
            seen, histories = _read(reply), others | {reply.history}
            finding = judge(seen, histories, earlier, self._clock.now(), self._seen_with)
            if seen is not None and finding in {Finding.SAME, Finding.REPLACED}:
                break
            self._settled, self._is_sure = frozenset(), False
            await self._settle(finding, histories)
            # Whatever was lost lies below the floor now.
            self._seen_with = frozenset()
        self._seen_with = histories
        if earlier is None:
            # From the first step that is accepted somebody else must know that there was a state.
            await self._keep_record(seen)
        self._learn(seen, histories)
        if finding is Finding.REPLACED:
            self._report_loss(seen)
        await self._keep_record(seen)

    async def _settle(self, finding: Finding, histories: frozenset[str]) -> None:
        now = self._clock.now()
        # Rounded up, so that what happened in the same millisecond is covered.
        floor = 0 if finding in {Finding.FIRST, Finding.MOVED} else epoch_ms(now) + 1
        if finding in {Finding.FIRST, Finding.LOST}:
            text = " ".join(sorted(histories))
            args: list[scripts.Argument] = [
                self._entropy.token(12),
                epoch_ms(now),
                text,
                floor,
                _KEPT_MS,
            ]
            await self._spend(scripts.BEGIN_GENERATION, *args)
        else:
            await self._raise(floor, histories)
        if floor:
            _log.warning("redis_floor_raised", finding=finding.value, floor_ms=floor)

    async def _raise(self, floor: int, histories: frozenset[str]) -> Generation:
        text = " ".join(sorted(histories))
        raised = _read(await self._spend(scripts.RAISE_FLOOR, floor, text, _KEPT_MS, _LONGEST))
        if raised is None:
            raise DependencyUnavailableError
        return raised

    async def _renew(self) -> Reply:
        return await self._spend(scripts.RENEW_GENERATION, _KEPT_MS)

    async def _spend(self, script: scripts.Script, *args: scripts.Argument) -> Reply:
        return await self._client.spend(script, [keys.generation()], args, same_attempt=True)

    def _learn(self, seen: Generation, histories: frozenset[str]) -> None:
        floors = [at for at in (seen.floor_at, self.floor_at) if at is not None]
        self._current = msgspec.structs.replace(seen, floor_at=max(floors, default=None))
        self._settled, self._is_sure = histories, True
        self._tell()

    def _report_loss(self, begun: Generation) -> None:
        telemetry.redis_generation_resets_total.inc()
        _log.error("redis_data_lost", generation=begun.id, floor_at=begun.floor_at)
        self._lost.append(begun)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _earlier(self) -> GenerationId | None:
        """Return which generation there was: what we saw ourselves, or what is on record."""
        if self._current is not None:
            return self._current.id
        try:
            return await self.record.last()
        except DependencyUnavailableError:
            return NOBODY_KNOWS

    async def _keep_record(self, seen: Generation) -> None:
        if self._recorded != seen.id:
            with contextlib.suppress(DependencyUnavailableError):
                await self.record.add(seen)
                self._recorded = seen.id


def _read(reply: Reply) -> Generation | None:
    if reply.status != "ok":
        return None
    held = dict(zip(reply.values[::2], reply.values[1::2], strict=True))
    floor, until = int(held[b"floor_at"]), int(held.get(b"leaving_until", 0))
    leaving = held.get(b"leaving")
    return Generation(
        id=GenerationId(held[b"id"].decode()),
        begun_at=from_epoch_ms(held[b"begun_at"]),
        histories=frozenset(held[b"histories"].decode().split()),
        floor_at=from_epoch_ms(floor) if floor else None,
        leaving=leaving.decode() if leaving else None,
        leaving_until=from_epoch_ms(until) if until else None,
    )
