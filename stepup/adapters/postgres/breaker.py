"""The circuit breaker: after three time-outs in a row nobody else waits for the same silence."""

from collections.abc import Callable

_TIMEOUTS_TO_OPEN = 3
_PROBE_INTERVAL = 1.0


class CircuitBreaker:
    """Closed while calls come back; open after three that did not, but for a probe now and then.

    `monotonic` is any clock that only goes forward. The jitter comes from its fraction: instances
    that lost one server at one moment were not started at one moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._timeouts = 0
        self._probe_at = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether calls are refused at the moment."""
        return self._timeouts >= _TIMEOUTS_TO_OPEN

    def admit(self) -> bool:
        """Say whether a call may be tried; while open, one every one to two seconds may."""
        if not self.is_open:
            return True
        if self._monotonic() < self._probe_at:
            return False
        self._plan_probe()
        return True

    def answered(self) -> None:
        """Note that a call came back, with whatever answer."""
        self._timeouts = 0

    def timed_out(self) -> bool:
        """Note that a call did not come back in time; True for the one that opens the breaker."""
        self._timeouts += 1
        self._plan_probe()
        return self._timeouts == _TIMEOUTS_TO_OPEN

    def _plan_probe(self) -> None:
        now = self._monotonic()
        self._probe_at = now + _PROBE_INTERVAL + (now * 1000) % 1
