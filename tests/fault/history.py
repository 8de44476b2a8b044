"""What callers saw: every try with its beginning, its end and its outcome."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

import msgspec


class Outcome(StrEnum):
    """How a try ended, as its caller understands it."""

    GRANTED = "granted"
    TAKEN = "taken"  # another attempt has it
    REFUSED = "refused"  # unknown, expired or bound to something else: for good
    UNKNOWN = "unknown"  # sent, and nobody knows
    UNAVAILABLE = "unavailable"  # certainly not executed
    LEFT = "left"  # the caller gave up


class Try(msgspec.Struct, kw_only=True):
    """One call and what came of it; `answer` is what a grant said."""

    instance: str
    operation: str
    target: str
    attempt: str
    begun: float
    ended: float = 0.0
    outcome: Outcome = Outcome.LEFT
    answer: str = ""
    seen: list[str] = []  # what the fence said of which server, for whoever asks why


_under_way: ContextVar[Try | None] = ContextVar("try", default=None)


def note(text: str) -> None:
    """Write something down beside the try that is under way."""
    one = _under_way.get()
    if one is not None:
        one.seen.append(text)


class History:
    """All tries of a trial, in the order in which they began."""

    def __init__(self) -> None:
        self.tries: list[Try] = []
        self.events: list[tuple[float, str]] = []

    def event(self, what: str) -> None:
        """Write down what was done to the set."""
        self.events.append((time.monotonic(), what))

    def lines(self) -> list[str]:
        """Return all of it as text, with the time of day that the servers' logs have."""
        offset = time.time() - time.monotonic()
        told = [(at, f"== {what}") for at, what in self.events]
        for one in self.tries:
            said = [one.instance, one.operation, one.target, one.attempt, one.outcome, *one.seen]
            told.append((one.begun, f"{one.ended - one.begun:.3f} {' '.join(said)}"))
        clock = ((datetime.fromtimestamp(at + offset, UTC), text) for at, text in sorted(told))
        return [f"{at:%H:%M:%S.%f} {text}" for at, text in clock]

    @contextmanager
    def trying(self, instance: str, operation: str, target: str, attempt: str) -> Iterator[Try]:
        """Write the intent down, then the outcome that the block sets."""
        one = Try(
            instance=instance,
            operation=operation,
            target=target,
            attempt=attempt,
            begun=time.monotonic(),
        )
        self.tries.append(one)
        token = _under_way.set(one)
        try:
            yield one
        finally:
            _under_way.reset(token)
            one.ended = time.monotonic()

    def of(self, operation: str, outcome: Outcome | None = None) -> list[Try]:
        """Return the tries of an operation, or those of them that ended so."""
        every = (one for one in self.tries if one.operation == operation)
        return [one for one in every if outcome is None or one.outcome is outcome]

    def longest_gap(self) -> float:
        """Return the longest time between two grants, in seconds."""
        ends = sorted(one.ended for one in self.tries if one.outcome is Outcome.GRANTED)
        return max((later - sooner for sooner, later in pairwise(ends)), default=0)
