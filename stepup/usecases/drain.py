"""Carry what waits in the outbox to PostgreSQL: the audit log, the ledger, last uses, revocations."""

from collections.abc import Sequence

from stepup.domain.audit import identity_of
from stepup.ports import (
    AuditRecorded,
    AuthenticatorUsed,
    Lease,
    LedgerRow,
    OutboxEntry,
    Ports,
    RecoveryCodeBurned,
    RevocationRecorded,
    Stores,
)
from stepup.usecases import recovery
from stepup.usecases.carry import BATCH, After, Entries, Load, carry, carry_once
from stepup.usecases.settle import forget_spent, report


async def drain_once(ports: Ports, refused: set[str] | None = None, count: int = BATCH) -> int:
    """Write one batch and forget it; returns how many entries there were.

    What the database refuses goes into `refused` and stays in the outbox.
    """
    return await carry_once(ports, _load(ports), set() if refused is None else refused, count)


async def drain(ports: Ports) -> None:
    """Drain for ever, and remove from the ledger what nothing can be spent with any more."""
    await carry(ports, _load(ports))


def _load(ports: Ports) -> Load[OutboxEntry]:
    async def write(stores: Stores, entries: Entries[OutboxEntry]) -> After:
        conflicts = await _write(stores, entries)

        async def report_all() -> None:
            for row in conflicts:
                await report(ports, row)

        return report_all

    return Load(
        waiting=ports.state.outbox,
        lease=Lease.DRAIN,
        write=write,
        tidy=lambda: forget_spent(ports),
    )


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
    spent = [entry for _, entry in entries if isinstance(entry, LedgerRow)]
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
