"""Security events in figures: what was delivered, refused, set aside, and what waits."""

from datetime import datetime

from stepup import telemetry
from stepup.ports import SignalBacklog


class ObservedSignals:
    """Counts what becomes of pushed events."""

    def delivered(self, kind: str) -> None:  # noqa: ARG002  the name of an event says nothing here
        """Count a delivery."""
        telemetry.signals_delivered_total.labels(method="push").inc()

    def set_aside(self, problem: str) -> None:
        """Count what a receiver refused or could not bear."""
        refused = "unbearable" if problem.startswith("http_") else "refused"
        telemetry.signals_set_aside_total.labels(problem=refused).inc()

    def failed(self, problem: str) -> None:
        """Count a push that will be tried again."""
        answered = "answered" if problem.startswith("http_") else "unreachable"
        telemetry.signal_push_failures_total.labels(problem=answered).inc()

    def paused(self) -> None:
        """Count a stream that was paused."""
        telemetry.signal_streams_paused_total.inc()

    def expired(self, count: int) -> None:
        """Count what nobody fetched in time."""
        telemetry.signals_expired_total.inc(count)

    def waits(self, backlog: SignalBacklog, now: datetime) -> None:
        """Show what waits."""
        oldest = backlog.oldest_at
        age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        telemetry.signal_backlog_entries.set(backlog.waiting)
        telemetry.signal_backlog_oldest_age_seconds.set(age)
        telemetry.signals_aside_entries.set(backlog.set_aside)
