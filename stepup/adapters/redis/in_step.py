"""Whether all replicas keep up, so that a round may wait for all of them.

One acknowledgement is what a spend needs, and where both replicas keep up nearly as cheap as two. Held
by all of them it survives whichever is promoted, also when the one that would have been enough is
lost together with the primary. A replica that is away costs one long round; then nobody waits for
it for a while.
"""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class InStep:
    """Remembers whether the last round that waited for everyone was held by everyone."""

    def __init__(self) -> None:
        self._since = 0.0
        self._pause = FIRST_PAUSE

    def wanted(self, needed: int, everyone: int, now: float) -> int:
        """Return how many replicas a round waits for: at least those it needs."""
        return max(needed, everyone) if needed and now >= self._since else needed

    def learn(self, held_by: int, wanted: int, everyone: int, now: float) -> None:
        """Take note of how many held a round that waited for so many."""
        if held_by >= everyone:
            self._pause = FIRST_PAUSE
        elif wanted >= everyone:
            self._since = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
