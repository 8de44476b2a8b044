"""The funnel in figures: what happens to challenges is counted where it is recorded.

Use cases do not know metrics; every step of a challenge is an audit event that passes here.
"""

from collections.abc import Sequence

from typing_extensions import override

from stepup import telemetry
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.ports import AuditRecorded, Outbox, OutboxEntry

_OUTCOMES = {
    AuditKind.CHALLENGE_OPENED: "opened",
    AuditKind.CHALLENGE_VERIFIED: "verified",
    AuditKind.CHALLENGE_FAILED: "failed",
    AuditKind.CHALLENGE_CANCELLED: "cancelled",
}
# What has no method yet, or was left before one was chosen.
_NO_METHOD = "none"


class ObservedOutbox(Outbox):
    """An outbox that counts what goes through it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        await self._outbox.append(*entries)
        for entry in entries:
            if isinstance(entry, AuditRecorded):
                _count(entry.event)

    @override
    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        telemetry.outbox_entries.set(await self._outbox.size())
        return await self._outbox.read(count)

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await self._outbox.remove(entry_ids)

    @override
    async def size(self) -> int:
        return await self._outbox.size()


def _count(event: AuditEvent) -> None:
    outcome = _OUTCOMES.get(event.kind)
    if outcome is None:
        return
    method = str(event.details.get("method", _NO_METHOD))
    telemetry.challenges_total.labels(method=method, outcome=outcome).inc()
    seconds = event.details.get("seconds")
    if event.kind is AuditKind.CHALLENGE_VERIFIED and isinstance(seconds, int):
        telemetry.challenge_seconds.observe(seconds)
