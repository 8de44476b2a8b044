"""What a process remembers by itself of what must not happen again, should Redis forget it."""

from collections import OrderedDict
from typing import Generic, TypeVar

# A subject is some hundred bytes; whoever is not among so many was not here lately.
MOST_REMEMBERED = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class SecondHome(Generic[Key, Value]):
    """A bounded map; what was not written for the longest time goes first."""

    def __init__(self, limit: int = MOST_REMEMBERED) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return what is remembered."""
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Remember it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget it."""
        self._values.pop(key, None)
