"""Processes beside ours, for work that is long or that nobody vouches for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar, TypeVarTuple, runtime_checkable

_Given = TypeVarTuple("_Given")
_Made = TypeVar("_Made")


# Routes are given it as a dependency, and those are checked.
@runtime_checkable
class Workshop(Protocol):
    """Where an administrator's document is read and tried out: no step-up waits for it there.

    A thread would not do. The engine of the conditions holds the interpreter while it evaluates,
    and nobody can end a thread.
    """

    async def run(
        self, work: Callable[[*_Given], _Made], *given: *_Given, limit: timedelta
    ) -> _Made:
        """Call a pure function in a process of its own and return what it returns.

        The function is one of a module's; it, what it is given and what it returns can be pickled.
        What it raises is raised here. It may find what an earlier call left in its module's
        caches, or nothing.

        Raises:
            TookTooLongError: If it was not done within the limit; the process was ended.
            DependencyUnavailableError: If there was no place free in that time, or the process
                died.
        """
        ...
