"""The clock and the entropy of the operating system."""

import secrets
import time
from datetime import UTC, datetime

from typing_extensions import override

from stepup.ports import Clock, Entropy


class SystemClock(Clock):
    """The time of this machine."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemEntropy(Entropy):
    """The random number generator of this machine's kernel."""

    @override
    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    @override
    def token(self, count: int = 32) -> str:
        return secrets.token_urlsafe(count)


def monotonic() -> float:
    """Return seconds that only go forward, and go on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
