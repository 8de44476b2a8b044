"""Carry what waits in the outbox to PostgreSQL: at least once into a log that keeps each once."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from stepup.domain.audit import identity_of
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import (
    AuditRecorded,
    AuthenticatorUsed,
    CodeRedeemed,
    Lease,
    LedgerRow,
    OutboxEntry,
    Ports,
    RecoveryCodeBurned,
    RevocationRecorded,
    Stores,
    TokenConsumed,
)
from stepup.usecases import recovery
from stepup.usecases.settle import forget_spent, report

BATCH = 500
# What was refused is tried again: it may have been the database's fault, and not its own.
REFUSED_FOR = timedelta(minutes=1)
# Rows may wait a moment: nobody reads the audit log within a tenth of a second.
IDLE_PAUSE = timedelta(milliseconds=200)


async def drain_once(ports: Ports, refused: set[str] | None = None, count: int = BATCH) -> int:
    """Write one batch and forget it; returns how many entries there were.

    One instance at a time does it, by a lease in the database. Entries are forgotten after the
    commit; whoever comes between the two writes the same rows under the same identifiers, which
    changes nothing. What the database refuses goes into `refused` and stays in the outbox, so that
    it stops nobody and is not lost.
    """
    refused = set() if refused is None else refused
    backlog = await ports.state.outbox.backlog()
    if backlog.entries <= len(refused):
        return 0
    try:
        return await _carry(ports, refused, count)
    except DependencyUnavailableError:
        raise
    except Exception:  # noqa: BLE001  whatever it was: the entry that it came from is looked for
        return await _carry_singly(ports, refused, count)


async def drain(ports: Ports) -> None:
    """Drain for ever; while PostgreSQL or Redis is away everything waits.

    Nothing ends it: that rows wait, and since when, is in the figures that `backlog` leaves.
    """
    refused: set[str] = set()
    forget_at = ports.clock.now() + REFUSED_FOR
    count = BATCH
    while True:
        carried = 0
        if ports.clock.now() >= forget_at:
            refused.clear()
            forget_at = ports.clock.now() + REFUSED_FOR
            with contextlib.suppress(Exception):
                await forget_spent(ports)
        # A server that is too slow for a batch gets smaller ones, down to single entries.
        tried, count = count, max(1, count // 2)
        with contextlib.suppress(Exception):
            carried = await drain_once(ports, refused, tried)
            count = min(BATCH, tried * 2)
        if carried < tried:
            await asyncio.sleep(IDLE_PAUSE.total_seconds())


async def _carry_singly(ports: Ports, refused: set[str], count: int) -> int:
    carried = 0
    for _ in range(count):
        try:
            written = await _carry(ports, refused, 1)
        except DependencyUnavailableError:
            raise
        except Exception:  # noqa: BLE001  this is the one, and it is kept
            refused |= await _oldest(ports, refused)
            continue
        carried += written
        if not written:
            break
    return carried


async def _carry(ports: Ports, refused: set[str], count: int) -> int:
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.DRAIN):
            return 0
        # Read under the lease: what was read before it may have been written meanwhile.
        entries = await _read(ports, refused, count)
        conflicts = await _write(stores, entries) if entries else ()
    # Before they are forgotten: whoever dies here leaves them to the next one, who says it again.
    for row in conflicts:
        await report(ports, row)
    await ports.state.outbox.remove([entry_id for entry_id, _ in entries])
    return len(entries)


async def _read(ports: Ports, refused: set[str], count: int) -> list[tuple[str, OutboxEntry]]:
    entries = await ports.state.outbox.read(count + len(refused))
    return [(entry_id, entry) for entry_id, entry in entries if entry_id not in refused][:count]


async def _oldest(ports: Ports, refused: set[str]) -> set[str]:
    return {entry_id for entry_id, _ in await _read(ports, refused, 1)}


async def _write(stores: Stores, entries: Sequence[tuple[str, OutboxEntry]]) -> Sequence[LedgerRow]:
    """Write a batch; returns the spends that are another attempt's by the ledger."""
    # Rows before the end of the chain, as everybody who changes an authenticator locks them: the
    # other way round two could wait for each other.
    await stores.authenticators.record_uses(
        [entry for _, entry in entries if isinstance(entry, AuthenticatorUsed)]
    )
    burned = await recovery.burn_afterwards(
        stores, [entry for _, entry in entries if isinstance(entry, RecoveryCodeBurned)]
    )
    spent = [entry for _, entry in entries if isinstance(entry, CodeRedeemed | TokenConsumed)]
    standing = await stores.ledger.record_all(spent)
    await stores.revocations.add(
        [entry.revocation for _, entry in entries if isinstance(entry, RevocationRecorded)]
    )
    await stores.audit.append_all(
        [
            (identity_of(entry.event) or entry_id, entry.event)
            for entry_id, entry in entries
            if isinstance(entry, AuditRecorded)
        ]
        + burned
    )
    return [row for row, first in zip(spent, standing, strict=True) if row.attempt != first.attempt]
