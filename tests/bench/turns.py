"""Costs measured in turns with what they are held against, so that a noisy moment hits both."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple


class Effort(NamedTuple):
    """How much of everything."""

    rounds: int
    tokens: int
    repeats: int
    decisions: int
    actions: int
    spends: int


FULL = Effort(rounds=5, tokens=300, repeats=5_000, decisions=5_000, actions=1000, spends=4_000)
QUICK = Effort(rounds=1, tokens=20, repeats=200, decisions=200, actions=100, spends=200)


class Comparison(NamedTuple):
    """One line: a cost, and that of what it is held against."""

    name: str
    us: float
    against: str
    against_us: float

    @property
    def ratio(self) -> float:
        return self.us / self.against_us


def in_turns(rounds: int, times: int, *works: Callable[[], None]) -> list[float]:
    """Return the median CPU time of one repetition of each, in µs; the first turn warms up."""
    costs: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, cost in zip(works, costs, strict=True):
            started = time.process_time()
            work()
            cost.append((time.process_time() - started) / times * 1e6)
    return [median(cost[1:]) for cost in costs]
