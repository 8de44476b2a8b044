"""How old a copy may be: fresh, stale and said so, or of no use any more."""

from datetime import datetime, timedelta
from enum import StrEnum

# Thirty questions to PostgreSQL without an answer are an outage, not a hiccup.
FRESH_FOR = timedelta(seconds=30)


class Freshness(StrEnum):
    """What may be done with a copy of what lies in PostgreSQL."""

    FRESH = "fresh"
    STALE = "stale"
    UNUSABLE = "unusable"


def age_of(confirmed_at: datetime, now: datetime) -> timedelta:
    """Return how long ago a copy was confirmed; a clock that runs ahead makes nothing younger."""
    return max(now - confirmed_at, timedelta(0))


def is_ahead(at: datetime, now: datetime) -> bool:
    """Say whether a moment lies so far ahead that the clock which wrote it was wrong."""
    return at - now > FRESH_FOR


def freshness_of(confirmed_at: datetime, now: datetime, usable_for: timedelta) -> Freshness:
    """Judge a copy that PostgreSQL confirmed last at `confirmed_at`.

    Between `FRESH_FOR` and `usable_for` it serves, and whoever is served is told.
    """
    age = age_of(confirmed_at, now)
    if age > usable_for:
        return Freshness.UNUSABLE
    return Freshness.STALE if age > FRESH_FOR else Freshness.FRESH
