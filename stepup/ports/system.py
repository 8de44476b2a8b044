"""Time and chance, which no function takes by itself."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...


class Entropy(Protocol):
    """Chance."""

    def bytes(self, count: int) -> bytes:
        """Return that many unpredictable bytes."""
        ...

    def token(self, count: int = 32) -> str:
        """Return that many unpredictable bytes as base64url text without padding."""
        ...
