"""What the shadow says, in memory."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime

from typing_extensions import override

from stepup.domain.ids import ActionName
from stepup.domain.replay import Example
from stepup.domain.shadow import ShadowTally, Watched
from stepup.ports import Clock, ShadowFindings, ShadowLog


class MemoryShadowLog(ShadowLog):
    """A queue, and counters by text."""

    def __init__(self, clock: Clock, room: int = 2_000) -> None:
        self._clock = clock
        self._room = room
        self._waiting: deque[Watched] = deque()
        self._counts: dict[str, Counter[tuple[ActionName, str]]] = {}
        self._examples: dict[str, list[Example]] = {}
        self._since: dict[str, datetime] = {}

    @override
    def add(self, watched: Watched) -> bool:
        if len(self._waiting) >= self._room:
            return False
        self._waiting.append(watched)
        return True

    @override
    def take(self, count: int) -> Sequence[Watched]:
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    @override
    async def count(self, digest: str, tally: ShadowTally) -> None:
        self._since.setdefault(digest, self._clock.now())
        self._counts.setdefault(digest, Counter()).update(tally.counts)
        self._examples.setdefault(digest, []).extend(tally.examples.values())

    @override
    async def find(self, digest: str) -> ShadowFindings:
        if digest not in self._counts:
            return ShadowFindings()
        examples = sorted(self._examples[digest], key=lambda each: each.at, reverse=True)
        return ShadowFindings(
            since=self._since[digest], counts=dict(self._counts[digest]), examples=examples
        )
