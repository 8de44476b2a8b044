"""How many requests may be repeated, so that our repeats do not keep a sick server down."""

from stepup import telemetry

# At most a tenth of the requests to a dependency are repeats (RELIABILITY section 9) ...
REQUESTS_PER_REPEAT = 10
# ... but whoever asks rarely may repeat too, or one failover would cost the next ten callers.
REPEATS_PER_SECOND = 1
# As many as are in flight when a busy server breaks: all of them may come again once.
CAPACITY = 256


class RetryBudget:
    """A bucket that requests fill and repeats empty."""

    def __init__(self, dependency: str, capacity: int = CAPACITY) -> None:
        # Counted in requests.
        self._capacity = self._left = float(capacity * REQUESTS_PER_REPEAT)
        self._looked_at: float | None = None
        self._gauge = telemetry.retry_budget_ratio.labels(dependency=dependency)
        self._gauge.set(1.0)

    def request(self, now: float) -> None:
        """Note a request that is no repeat; `now` is any clock that only goes forward."""
        since = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        if self._left < self._capacity:
            self._change(1 + since * REPEATS_PER_SECOND * REQUESTS_PER_REPEAT)

    def repeat(self) -> bool:
        """Spend one repeat; False when there is none left."""
        if self._left < REQUESTS_PER_REPEAT:
            return False
        self._change(-REQUESTS_PER_REPEAT)
        return True

    def _change(self, by: float) -> None:
        self._left = min(self._left + by, self._capacity)
        self._gauge.set(self._left / self._capacity)
