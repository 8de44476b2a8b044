"""Know every revocation in memory, and how old that knowledge is.

Three ways lead here. The feed is heard, which is quick and proves nothing; it is read from a place
on once a second, which finds what was missed and proves that nothing else was; and so are the rows
in PostgreSQL, so that one store is enough.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from typing_extensions import override

from stepup.domain.errors import StepUpError
from stepup.domain.revocation import BOUND, Ground, Revocation, RevocationMap
from stepup.domain.token import ElevatedToken
from stepup.ports import FeedPage, FeedPlace, KnownRevocations, Ports, WrittenRevocation
from stepup.usecases.revoke import reseed

READ_EVERY = timedelta(seconds=1)
ROWS_EVERY = timedelta(seconds=2)
# Rows become visible in another order than they are written in: no transaction of ours lasts
# longer, and no standby's clock is further behind.
OVERLAP = timedelta(seconds=15)
ALL_ROWS_EVERY = timedelta(minutes=1)
# More than come between two looks of whoever follows them.
LEARNED_KEPT = 1_000
ROWS_KEPT = timedelta(days=1)


class FeedStalledError(Exception):
    """This process has not heard for too long what was revoked."""


class LiveRevocations(KnownRevocations):
    """The revocations that one process knows.

    `monotonic` only goes forward and counts while the process or its machine is suspended, so that
    whoever wakes up knows that he knows nothing new. `on_look` is told how many there are and how
    old the knowledge is.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        on_look: Callable[[int, float], object] = lambda _entries, _age: None,
        on_heard: Callable[[float], object] = lambda _seconds: None,
    ) -> None:
        self.monotonic = monotonic
        self.on_heard = on_heard
        self._on_look = on_look
        self._map = RevocationMap()
        self._unpublished: list[Revocation] = []
        self._learned: deque[Revocation] = deque(maxlen=LEARNED_KEPT)
        # How many times something more has ended, as far as this process knows.
        self.learned = 0
        self._known_at: float | None = None

    @override
    def covers(self, token: ElevatedToken, key_id: str | None) -> bool:
        return self._map.covers(token, key_id)

    @override
    def ends(self, grounds: Iterable[Ground]) -> bool:
        return self._map.ends(grounds)

    @property
    @override
    def age(self) -> timedelta | None:
        if self._known_at is None:
            return None
        return timedelta(seconds=max(0.0, self.monotonic() - self._known_at))

    @override
    def learn(self, revocation: Revocation, *, published: bool) -> None:
        if self._map.add(revocation):
            self._learned.append(revocation)
            self.learned += 1
        if not published:
            self._unpublished.append(revocation)

    @override
    def entries(self) -> Sequence[Revocation]:
        return self._map.entries()

    def confirm(self, known_at: float) -> None:
        """Note that everything that was acknowledged before this moment is known."""
        self._known_at = known_at if self._known_at is None else max(self._known_at, known_at)

    def forget(self, now: datetime) -> None:
        """Drop what concerns nothing alive any more."""
        self._map.forget(now)

    def learned_since(self, count: int) -> list[Revocation] | None:
        """Return what was learned after so many; None when that is more than is kept."""
        new = self.learned - count
        if new > len(self._learned):
            return None
        return list(self._learned)[len(self._learned) - new :]

    def take_unpublished(self) -> list[Revocation]:
        """Return what Redis does not have yet, once."""
        taken, self._unpublished = self._unpublished, []
        return taken

    async def check(self) -> None:
        """Return when the knowledge is young enough for every answer.

        Raises:
            FeedStalledError: If it is not.
        """
        age = self.age
        if age is not None:
            self._on_look(len(self._map), age.total_seconds())
        if age is None or age > BOUND:
            raise FeedStalledError


async def follow(ports: Ports, live: LiveRevocations) -> None:
    """Keep knowing, for ever; bears a store that is away, and both."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hear(ports, live))
        tasks.create_task(_read_feed(ports, live))
        tasks.create_task(_read_rows(ports, live))


async def look(ports: Ports, live: LiveRevocations, place: FeedPlace | None) -> FeedPlace:
    """Read the feed from a place on, everything without one; returns from where to read on.

    Raises:
        DependencyUnavailableError: If Redis does not answer as the primary.
        OutcomeUnknownError: If nobody knows whether it was the primary.
    """
    began = live.monotonic()
    if place is None:
        place = await _reload(ports, live)
    while True:
        page = await ports.state.revocations.read(place)
        for _, revocation in page.numbered:
            if revocation is not None:
                live.learn(revocation, published=True)
        if not page.is_continued or _is_gap(place, page):
            return await _recover(ports, live)
        place = page.place
        if page.is_last:
            break
    live.confirm(began)
    if page.last_at is None or ports.clock.now() - page.last_at >= READ_EVERY:
        await ports.state.revocations.beat()
    return place


async def look_at_rows(
    ports: Ports, live: LiveRevocations, since: datetime | None
) -> datetime | None:
    """Read the rows written since, all of them without a moment; returns since when to read on.

    Raises:
        DependencyUnavailableError: If PostgreSQL does not answer as the primary.
    """
    began = live.monotonic()
    written = await _rows(ports, since)
    for row in written:
        live.learn(row.revocation, published=True)
    live.confirm(began)
    return written[-1].written_at - OVERLAP if written else since


async def _reload(ports: Ports, live: LiveRevocations) -> FeedPlace:
    # PostgreSQL knows what a Redis that lost its data does not.
    with contextlib.suppress(StepUpError):
        for row in await _rows(ports, None):
            live.learn(row.revocation, published=True)
    # A place at an entry shows later whether this is still the same feed.
    await ports.state.revocations.beat()
    found, place = await ports.state.revocations.read_all()
    for revocation in found:
        live.learn(revocation, published=True)
    return place


async def _recover(ports: Ports, live: LiveRevocations) -> FeedPlace:
    """Read everything again after a gap, and give Redis back what it may have lost."""
    await reseed(ports)
    return await look(ports, live, None)


def _is_gap(place: FeedPlace, page: FeedPage) -> bool:
    numbers = [number for number, _ in page.numbered]
    expected = list(range(place.number + 1, place.number + 1 + len(numbers)))
    return numbers != expected or (page.is_last and page.place.number != page.newest)


async def _rows(ports: Ports, since: datetime | None) -> Sequence[WrittenRevocation]:
    async with ports.database.transaction() as stores:
        return await stores.revocations.live(ports.clock.now(), since=since)


async def _hear(ports: Ports, live: LiveRevocations) -> None:
    async for revocation in ports.state.revocations.listen():
        if revocation is not None:
            live.learn(revocation, published=True)
            live.on_heard((ports.clock.now() - revocation.at).total_seconds())


async def _read_feed(ports: Ports, live: LiveRevocations) -> None:
    place: FeedPlace | None = None
    while True:
        with contextlib.suppress(StepUpError):
            place = await look(ports, live, place)
            await publish_late(ports, live)
        await asyncio.sleep(READ_EVERY.total_seconds())


async def publish_late(ports: Ports, live: LiveRevocations) -> None:
    """Publish what Redis did not take when it was revoked; what fails again waits on.

    Raises:
        DependencyUnavailableError: If Redis is away.
        OutcomeUnknownError: If nobody knows what became of it.
    """
    waiting = live.take_unpublished()
    try:
        for revocation in waiting:
            await ports.state.revocations.publish(revocation)
    except StepUpError:
        for revocation in waiting:
            live.learn(revocation, published=False)
        raise


async def _read_rows(ports: Ports, live: LiveRevocations) -> None:
    since: datetime | None = None
    all_at = live.monotonic()
    while True:
        if live.monotonic() >= all_at:
            since = None
        with contextlib.suppress(StepUpError):
            is_whole = since is None
            since = await look_at_rows(ports, live, since)
            if is_whole:
                all_at = live.monotonic() + ALL_ROWS_EVERY.total_seconds()
                await _forget_rows(ports)
        live.forget(ports.clock.now())
        await asyncio.sleep(ROWS_EVERY.total_seconds())


async def _forget_rows(ports: Ports) -> None:
    async with ports.database.transaction() as stores:
        await stores.revocations.forget(ports.clock.now() - ROWS_KEPT)
