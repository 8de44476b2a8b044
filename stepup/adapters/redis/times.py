"""Moments and spans as Redis keeps them: whole milliseconds."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Count the milliseconds since 1970."""
    return (at - _EPOCH) // _MS


def span_ms(span: timedelta) -> int:
    """Count the milliseconds of a span; Redis refuses to keep anything for less than one."""
    return max(span // _MS, 1)


def from_epoch_ms(ms: int | bytes) -> datetime:
    """Return the moment."""
    return _EPOCH + int(ms) * _MS
