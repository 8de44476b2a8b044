"""Carry what waits in a stream to PostgreSQL: at least once, into tables that keep each once.

One instance at a time does it, by a lease in the database. Entries are forgotten after the commit;
whoever comes between the two writes the same rows under the same identifiers, which changes
nothing. What the database refuses is passed over for a while, so that it stops nobody, and stays
in the stream, so that it is not lost.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import msgspec

from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Backlog, Lease, Ports, Stores

Entry = TypeVar("Entry")
Entry_co = TypeVar("Entry_co", covariant=True)
Entries = Sequence[tuple[str, Entry]]

BATCH = 500
# What was refused is tried again: it may have been the database's fault, and not its own.
REFUSED_FOR = timedelta(minutes=1)
# Rows may wait a moment: nobody reads them within a tenth of a second.
IDLE_PAUSE = timedelta(milliseconds=200)


class Waiting(Protocol[Entry_co]):
    """A stream of entries that wait."""

    async def read(self, count: int) -> Sequence[tuple[str, Entry_co]]:
        """Return the oldest readable entries with their identifiers."""
        ...

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Forget entries after they were written."""
        ...

    async def backlog(self) -> Backlog:
        """Say how many wait, and since when."""
        ...


After = Callable[[], Awaitable[object]]
"""What is to be done after the commit, and before the entries are forgotten."""


class Load(msgspec.Struct, Generic[Entry], frozen=True, kw_only=True):
    """What is carried: from where, in whose turn, and how it is written.

    `tidy` is done at the start and every minute.
    """

    waiting: Waiting[Entry]
    lease: Lease
    write: Callable[[Stores, Entries[Entry]], Awaitable[After | None]]
    tidy: Callable[[], Awaitable[object]]


async def carry_once(ports: Ports, load: Load[Entry], refused: set[str], count: int = BATCH) -> int:
    """Write one batch and forget it; returns how many entries there were.

    What the database refuses goes into `refused`.
    """
    backlog = await load.waiting.backlog()
    if backlog.entries <= len(refused):
        return 0
    try:
        return await _carry(ports, load, refused, count)
    except DependencyUnavailableError:
        raise
    except Exception:  # noqa: BLE001  whatever it was: the entry that it came from is looked for
        return await _carry_singly(ports, load, refused, count)


async def carry(ports: Ports, load: Load[Entry]) -> None:
    """Carry for ever; while PostgreSQL or Redis is away everything waits.

    Nothing ends it: that entries wait, and since when, is in the figures that `backlog` leaves.
    """
    refused: set[str] = set()
    tidy_at = ports.clock.now()
    count = BATCH
    while True:
        carried = 0
        if ports.clock.now() >= tidy_at:
            refused.clear()
            tidy_at = ports.clock.now() + REFUSED_FOR
            with contextlib.suppress(Exception):
                await load.tidy()
        # A server that is too slow for a batch gets smaller ones, down to single entries.
        tried, count = count, max(1, count // 2)
        with contextlib.suppress(Exception):
            carried = await carry_once(ports, load, refused, tried)
            count = min(BATCH, tried * 2)
        if carried < tried:
            await asyncio.sleep(IDLE_PAUSE.total_seconds())


async def _carry_singly(ports: Ports, load: Load[Entry], refused: set[str], count: int) -> int:
    carried = 0
    for _ in range(count):
        try:
            written = await _carry(ports, load, refused, 1)
        except DependencyUnavailableError:
            raise
        except Exception:  # noqa: BLE001  this is the one, and it is kept
            refused |= {entry_id for entry_id, _ in await _read(load, refused, 1)}
            continue
        carried += written
        if not written:
            break
    return carried


async def _carry(ports: Ports, load: Load[Entry], refused: set[str], count: int) -> int:
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(load.lease):
            return 0
        # Read under the lease: what was read before it may have been written meanwhile.
        entries = await _read(load, refused, count)
        after = await load.write(stores, entries) if entries else None
    # Before they are forgotten: whoever dies here leaves them to the next one, who does it again.
    if after is not None:
        await after()
    await load.waiting.remove([entry_id for entry_id, _ in entries])
    return len(entries)


async def _read(load: Load[Entry], refused: set[str], count: int) -> Entries[Entry]:
    entries = await load.waiting.read(count + len(refused))
    return [(entry_id, entry) for entry_id, entry in entries if entry_id not in refused][:count]
