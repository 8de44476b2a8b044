"""What is done when the state has lost everything: it is recorded, and revocations come back."""

import asyncio
import contextlib
from datetime import timedelta

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import StepUpError
from stepup.domain.generation import Generation
from stepup.ports import AuditRecorded, Ports
from stepup.usecases.revoke import reseed

AGAIN = timedelta(seconds=1)


async def follow_losses(ports: Ports) -> None:
    """Make good what can be made good after each loss of the state; for ever.

    Every instance does it: to do it twice is harmless, and none can know that another will.
    """
    async for begun in ports.state.generations.losses():
        while True:
            with contextlib.suppress(StepUpError):
                await make_good(ports, begun)
                break
            await asyncio.sleep(AGAIN.total_seconds())


async def make_good(ports: Ports, begun: Generation) -> None:
    """Record that a generation was lost, once whoever says it, and seed what outlived it."""
    await ports.state.outbox.append(
        AuditRecorded(
            event=AuditEvent(
                kind=AuditKind.STATE_LOST, at=begun.begun_at, details={"generation": begun.id}
            )
        )
    )
    await reseed(ports)
