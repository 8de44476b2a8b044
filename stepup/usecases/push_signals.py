"""Push SETs to their receivers (RFC 8935): in order per stream, until the receiver has them.

A stream is one instance's turn at a time; whoever dies loses the turn, and the next one sends again
what was not noted as delivered. So a receiver may get an event twice, by the same `jti`, and never
not at all. What a receiver refuses, or cannot bear, is set aside; after some of that in a row its
stream is paused, and everybody else's goes on.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Protocol

from stepup.crypto import security_events, stream_headers
from stepup.domain.pushing import (
    MAX_SET_ASIDE,
    MAX_TRIES,
    Again,
    Delivered,
    Refused,
    Verdict,
    pause_after,
)
from stepup.domain.signals import EventType
from stepup.domain.streams import RETENTION, QueuedEvent, StreamStatus
from stepup.ports import Ports, Pusher, PushHealth, PushTurn, SignalBacklog, Stores
from stepup.usecases.signing import set_signer
from stepup.usecases.streams import about
from stepup.usecases.tell_signals import addressed, is_received

TURN = timedelta(seconds=30)
BATCH = 20
# A push lasts five seconds at most, and what became of it must be written within the turn.
_ENOUGH = timedelta(seconds=20)
_OUT_OF_SERVICE = timedelta(minutes=1)
_IDLE_PAUSE = timedelta(seconds=1)
_TIDY_EVERY = timedelta(minutes=1)
_AT_ONCE = 8
_PAUSED_BECAUSE = "Too many events in a row were not accepted."


class SignalWatch(Protocol):
    """Who wants to know how delivery goes."""

    def delivered(self, kind: str) -> None:
        """Hear that a receiver has an event."""
        ...

    def set_aside(self, problem: str) -> None:
        """Hear that an event was set aside."""
        ...

    def failed(self, problem: str) -> None:
        """Hear that a push will be tried again."""
        ...

    def paused(self) -> None:
        """Hear that a stream was paused."""
        ...

    def expired(self, count: int) -> None:
        """Hear that events were dropped because nobody had fetched them in time."""
        ...

    def waits(self, backlog: SignalBacklog, now: datetime) -> None:
        """Hear how much waits."""
        ...


async def push(ports: Ports, pusher: Pusher, watch: SignalWatch) -> None:
    """Push for ever, to several receivers at once, so that a slow one keeps nobody waiting."""
    places = asyncio.Semaphore(_AT_ONCE)
    running: set[asyncio.Task[None]] = set()
    tidy_at = ports.clock.now()
    try:
        while True:
            await places.acquire()
            turn = None
            with contextlib.suppress(Exception):
                if ports.clock.now() >= tidy_at:
                    tidy_at = ports.clock.now() + _TIDY_EVERY
                    await tidy(ports, watch)
                turn = await take_turn(ports)
            if turn is None:
                places.release()
                await asyncio.sleep(_IDLE_PAUSE.total_seconds())
                continue
            task = asyncio.create_task(_served(_Serving(ports, pusher, watch, turn), places))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def push_once(ports: Ports, pusher: Pusher, watch: SignalWatch) -> bool:
    """Serve one stream in which something may leave; False when there is none."""
    turn = await take_turn(ports)
    if turn is not None:
        await _Serving(ports, pusher, watch, turn).serve()
    return turn is not None


async def take_turn(ports: Ports) -> PushTurn | None:
    """Take the turn for a stream, by the database's clock: that is the same for everybody."""
    async with ports.database.transaction() as stores:
        now = await stores.keys.now()
        return await stores.streams.take_turn(now, now + TURN)


async def tidy(ports: Ports, watch: SignalWatch) -> None:
    """Drop what nobody fetched in time, and say how much waits."""
    async with ports.database.transaction() as stores:
        now = await stores.keys.now()
        watch.expired(await stores.signals.expire(now - RETENTION))
        await stores.signal_source.forget_names(now - RETENTION)
        watch.waits(await stores.signals.backlog(), now)


async def _served(serving: "_Serving", places: asyncio.Semaphore) -> None:
    try:
        # Whatever it was: the turn ends by itself, and what was not noted is sent again.
        with contextlib.suppress(Exception):
            await serving.serve()
    finally:
        places.release()


class _Serving:
    """One turn: the oldest events of one stream, one after the other."""

    def __init__(self, ports: Ports, pusher: Pusher, watch: SignalWatch, turn: PushTurn) -> None:
        self._ports = ports
        self._pusher = pusher
        self._watch = watch
        self._stream, self._health = turn

    async def serve(self) -> None:
        """Send what may leave, until something goes wrong or the turn is nearly over."""
        stream = self._stream
        begun = self._ports.clock.now()
        async with self._ports.database.transaction() as stores:
            events = await stores.signals.waiting(stream, BATCH)
        pause = timedelta(0)
        for event in events:
            if not is_received(self._ports, stream):
                # Held, and dropped in time: it may be let in again.
                pause = _OUT_OF_SERVICE
                break
            verdict = await self._send(event)
            async with self._ports.database.transaction() as stores:
                unchanged = await stores.streams.lock(stream.id) == stream
                pause = await self._settle(stores, event, verdict)
            # SSF 1.0 section 8.1.2.1: what was paused or changed meanwhile is not sent any more.
            if pause or not unchanged or self._ports.clock.now() - begun > _ENOUGH:
                break
        async with self._ports.database.transaction() as stores:
            next_at = await stores.keys.now() + pause
            await stores.streams.end_turn(stream.id, self._health, next_at)
            if self._health.refusals >= MAX_SET_ASIDE:
                await self._pause(stores)

    async def _send(self, event: QueuedEvent) -> Verdict:
        keyring, delivery = self._ports.snapshot.keyring, self._stream.delivery
        text = security_events.sign(event.claims, set_signer(self._ports))
        sealed = delivery.sealed_header
        header = (
            None if sealed is None else stream_headers.unseal(sealed, keyring.root, self._stream.id)
        )
        return await self._pusher.push(delivery.endpoint_url or "", text, header)

    async def _settle(self, stores: Stores, event: QueuedEvent, verdict: Verdict) -> timedelta:
        """Note what became of an event; returns how long to wait now."""
        match verdict:
            case Delivered():
                await stores.signals.forget(event.stream_id, [event.id])
                self._health = PushHealth()
                self._watch.delivered(event.type)
                return timedelta(0)
            case Refused(problem=problem):
                await self._set_aside(stores, event, problem)
                return timedelta(0)
            case Again(problem=problem, counts=counts):
                tries = await stores.signals.tried(event.stream_id, event.id) if counts else 0
                if tries >= MAX_TRIES:
                    await self._set_aside(stores, event, problem)
                    return timedelta(0)
                self._watch.failed(problem)
                self._health = self._health._replace(failures=self._health.failures + 1)
                chance = self._ports.entropy.bytes(1)[0] / 256
                return pause_after(self._health.failures, chance)

    async def _set_aside(self, stores: Stores, event: QueuedEvent, problem: str) -> None:
        await stores.signals.set_aside(event.stream_id, {event.id: problem})
        self._health = PushHealth(refusals=self._health.refusals + 1)
        self._watch.set_aside(problem)

    async def _pause(self, stores: Stores) -> None:
        """Hold what comes, and say so first (SSF 1.0 section 8.1.5)."""
        current = await stores.streams.lock(self._stream.id)
        if current is None or current.status is not StreamStatus.ENABLED:
            return
        status = StreamStatus.PAUSED
        payload = {"status": status.value, "reason": _PAUSED_BECAUSE}
        signal = about(self._ports, current, EventType.STREAM_UPDATED, payload)
        await stores.signals.add([addressed(self._ports, signal, current, parting=True)])
        await stores.streams.put(current.with_status(status, _PAUSED_BECAUSE))
        self._watch.paused()
