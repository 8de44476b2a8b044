"""Carry what waits in the outbox to PostgreSQL: at least once into idempotent tables."""

import asyncio
import contextlib
from datetime import timedelta

from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import AuditRecorded, AuthenticatorUsed, Ports

BATCH = 200
# Rows may wait a moment: nobody reads the audit log within a tenth of a second.
IDLE_PAUSE = timedelta(milliseconds=200)


async def drain_once(ports: Ports) -> int:
    """Write one batch and forget it; returns how many entries there were.

    Two instances may carry the same batch at once: each row is written under its entry's
    identifier, so the second one changes nothing.
    """
    entries = await ports.state.outbox.read(BATCH)
    if not entries:
        return 0
    async with ports.database.transaction() as stores:
        for entry_id, entry in entries:
            match entry:
                case AuditRecorded():
                    await stores.audit.append(entry_id, entry.event)
                case AuthenticatorUsed():
                    await stores.authenticators.record_use(entry)
    await ports.state.outbox.remove([entry_id for entry_id, _ in entries])
    return len(entries)


async def drain(ports: Ports) -> None:
    """Drain for ever; while PostgreSQL is away everything waits."""
    while True:
        carried = 0
        with contextlib.suppress(DependencyUnavailableError):
            carried = await drain_once(ports)
        if carried < BATCH:
            await asyncio.sleep(IDLE_PAUSE.total_seconds())
