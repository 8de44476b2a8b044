"""A clock that stands still and chance that can be repeated."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from stepup.ports import Clock, Entropy

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class StillClock(Clock):
    """Time passes when a test says so."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    @override
    def now(self) -> datetime:
        return self.at

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        self.at += span


class CountingEntropy(Entropy):
    """Chance that counts 1, 2, 3, ...: different every time, the same in every run."""

    def __init__(self) -> None:
        self.drawn = 0

    @override
    def bytes(self, count: int) -> bytes:
        self.drawn += 1
        # Every part of what is drawn differs, since some of it is cut into pieces.
        return hashlib.shake_256(str(self.drawn).encode()).digest(count)

    @override
    def token(self, count: int = 32) -> str:
        return urlsafe_b64encode(self.bytes(count)).rstrip(b"=").decode()
