"""What a worker holds of recorded decisions until Redis takes them."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from stepup.domain.recorded_decision import Outcome


class Held(NamedTuple):
    """A record as it will lie in Redis; a refusal stands for itself alone."""

    text: bytes
    outcome: Outcome
    is_refusal: bool


class HeldRecords:
    """A bounded number of bytes of records; for a newer one an old allowance makes room first.

    Refusals leave first, and go last.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._allowed: deque[Held] = deque()
        self._refused: deque[Held] = deque()

    def __len__(self) -> int:
        return len(self._allowed) + len(self._refused)

    def add(self, held: Held) -> int:
        """Hold one more; returns how many went for it."""
        self._queue_of(held).append(held)
        self._bytes += len(held.text)
        return self._make_room()

    def take(self, count: int, most_bytes: int) -> tuple[Sequence[Held], bool]:
        """Take the oldest of one kind; the second value says whether they are allowances.

        A record that is larger than `most_bytes` is taken alone.
        """
        queue, allowed = (self._refused, False) if self._refused else (self._allowed, True)
        taken: list[Held] = []
        size = 0
        while queue and len(taken) < count:
            size += len(queue[0].text)
            if taken and size > most_bytes:
                break
            taken.append(queue.popleft())
        self._bytes -= sum(len(held.text) for held in taken)
        return taken, allowed

    def put_back(self, taken: Sequence[Held]) -> int:
        """Hold again what could not be sent, as the oldest; returns how many went for it."""
        for held in reversed(taken):
            self._queue_of(held).appendleft(held)
            self._bytes += len(held.text)
        return self._make_room()

    def _make_room(self) -> int:
        gone = 0
        while self._bytes > self._most_bytes:
            queue = self._allowed or self._refused
            self._bytes -= len(queue.popleft().text)
            gone += 1
        return gone

    def _queue_of(self, held: Held) -> deque[Held]:
        return self._refused if held.is_refusal else self._allowed
