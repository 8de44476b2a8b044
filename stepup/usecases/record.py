"""Record decisions: handed over on the way, sent on beside the requests, carried to PostgreSQL.

Nothing here may delay a decision or make it fail; what becomes of the records is in the metrics.
"""

import asyncio
import contextlib
from datetime import UTC, date, datetime, time, timedelta

from stepup.crypto import digests
from stepup.domain.ids import DecisionId
from stepup.domain.recorded_decision import (
    Decided,
    RecordedDecision,
    decision_id,
    record_of,
    weight_of,
)
from stepup.ports import Lease, Ports, Stores
from stepup.usecases.carry import Entries, Load, carry, carry_once

FLUSH_INTERVAL = timedelta(milliseconds=50)
# A stopping instance has some seconds, and other things to do in them.
LAST_FLUSH = timedelta(seconds=2)
# Enough for PostgreSQL to refuse new partitions over a long weekend.
DAYS_AHEAD = 4
FORGOTTEN_AT_ONCE = 5_000

_DIGEST_PURPOSE = "recorded attribute"
_DIGEST_BYTES = 16


def record(ports: Ports, decided: Decided) -> DecisionId:
    """Name a decision, and hand it over to be kept, unless the sample leaves it out."""
    name = decision_id(decided.at, ports.entropy.token(12))
    weight = weight_of(name, decided.decision, ports.site.decision_sampling)
    if not weight:
        return name

    def digest(value: bytes) -> str:
        key = digests.derive(ports.snapshot.keyring.root, _DIGEST_PURPOSE)
        return digests.encode(digests.keyed_digest(key, value)[:_DIGEST_BYTES])

    ports.state.decisions.add(record_of(decided, name, digest, weight))
    return name


async def send_records(ports: Ports) -> None:
    """Send on for ever what was handed over; while Redis is away it is held, up to a bound."""
    while True:
        with contextlib.suppress(Exception):
            await ports.state.decisions.flush()
        await asyncio.sleep(FLUSH_INTERVAL.total_seconds())


async def send_last_records(ports: Ports) -> None:
    """Send on what is left when an instance stops, if Redis takes it soon."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(LAST_FLUSH.total_seconds()):
            await ports.state.decisions.flush()


async def carry_records_once(ports: Ports, retention: timedelta) -> int:
    """Write one batch of records to PostgreSQL and forget it; returns how many there were."""
    return await carry_once(ports, _load(ports, retention), set())


async def carry_records(ports: Ports, retention: timedelta) -> None:
    """Carry records to PostgreSQL for ever, and keep the days there in order."""
    await carry(ports, _load(ports, retention))


async def tend_days(ports: Ports, retention: timedelta) -> None:
    """Make the days that come, and drop those whose time is over.

    One instance at a time, and never while a batch is written: so the first batch finds its day.
    Each day is a transaction, since a lock that is not given at once is not waited for long.

    Raises:
        DependencyUnavailableError: If PostgreSQL does not answer, or somebody holds a lock; what
            is left undone is done the next time.
    """
    now = ports.clock.now()
    async with ports.database.transaction() as stores:
        # What is gone is gone: an instance whose clock is ahead must not remove a month too much.
        before = min(now, await stores.keys.now()) - retention
    # First, and by deleting rows: a role that may not make tables can do this at least.
    forgotten = FORGOTTEN_AT_ONCE
    while forgotten >= FORGOTTEN_AT_ONCE:
        async with ports.database.transaction() as stores:
            forgotten = await stores.decisions.forget(before, FORGOTTEN_AT_ONCE)
    today = now.astimezone(UTC).date()
    for ahead in range(DAYS_AHEAD + 1):
        if not await _prepare(ports, today + timedelta(days=ahead)):
            return
    while await _drop_oldest(ports, before):
        pass


def _load(ports: Ports, retention: timedelta) -> Load[RecordedDecision]:
    async def write(stores: Stores, entries: Entries[RecordedDecision]) -> None:
        await stores.decisions.add_all([record for _, record in entries])

    return Load(
        waiting=ports.state.decisions,
        lease=Lease.DECISIONS,
        write=write,
        tidy=lambda: tend_days(ports, retention),
    )


async def _prepare(ports: Ports, day: date) -> bool:
    """Make a day unless it is there; False while another instance has its turn."""
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.DECISIONS):
            return False
        if day not in await stores.decisions.days():
            await stores.decisions.prepare(day)
    return True


async def _drop_oldest(ports: Ports, before: datetime) -> bool:
    """Drop the oldest day if all of it is older; says whether there may be another."""
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.DECISIONS):
            return False
        oldest = next(iter(await stores.decisions.days()), None)
        if oldest is None or _end_of(oldest) > before:
            return False
        await stores.decisions.drop(oldest)
    return True


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
