"""The funnel in figures: what happens to challenges is counted where it is recorded.

Use cases do not know metrics; every step of a challenge is an audit event that passes here.
"""

from collections.abc import Sequence
from datetime import timedelta

from typing_extensions import override

from stepup import telemetry
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.ports import (
    AuditRecorded,
    AuthenticatorUsed,
    Backlog,
    Clock,
    CodeRedeemed,
    Outbox,
    OutboxEntry,
    RecoveryCodeBurned,
    RefreshUsed,
    RevocationRecorded,
    TokenConsumed,
)

_OUTCOMES = {
    AuditKind.CHALLENGE_OPENED: "opened",
    AuditKind.CHALLENGE_VERIFIED: "verified",
    AuditKind.CHALLENGE_FAILED: "failed",
    AuditKind.CHALLENGE_CANCELLED: "cancelled",
}
_CONFLICTS = frozenset(
    {
        AuditKind.REDEMPTION_CONFLICTED,
        AuditKind.REFRESH_CONFLICTED,
        AuditKind.CONSUMPTION_CONFLICTED,
    }
)
# What has no method yet, or was left before one was chosen.
_NO_METHOD = "none"


class ObservedOutbox(Outbox):
    """An outbox that counts what goes through it, and how long it waits."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        await self._outbox.append(*entries)
        for entry in entries:
            match entry:
                case AuditRecorded():
                    _count(entry.event)
                case CodeRedeemed() | RefreshUsed() | TokenConsumed():
                    telemetry.redemption_unfenced_total.inc()
                case AuthenticatorUsed() | RecoveryCodeBurned() | RevocationRecorded():
                    pass

    @override
    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        return await self._outbox.read(count)

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await self._outbox.remove(entry_ids)

    @override
    async def backlog(self) -> Backlog:
        backlog = await self._outbox.backlog()
        telemetry.outbox_entries.set(backlog.entries)
        age = timedelta(0)
        if backlog.oldest_at is not None:
            # The moment is Redis's and the clock is ours: they may disagree by a little.
            age = max(age, self._clock.now() - backlog.oldest_at)
        telemetry.outbox_oldest_age_seconds.set(age.total_seconds())
        return backlog


def _count(event: AuditEvent) -> None:
    if event.kind in _CONFLICTS:
        telemetry.redemption_conflicts_total.inc()
    outcome = _OUTCOMES.get(event.kind)
    if outcome is None:
        return
    method = str(event.details.get("method", _NO_METHOD))
    telemetry.challenges_total.labels(method=method, outcome=outcome).inc()
    seconds = event.details.get("seconds")
    if event.kind is AuditKind.CHALLENGE_VERIFIED and isinstance(seconds, int):
        telemetry.challenge_seconds.observe(seconds)
