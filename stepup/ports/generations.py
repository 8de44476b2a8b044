"""Whether the state has lost data, and what remembers outside of it that there was any."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from stepup.domain.generation import Generation
from stepup.domain.ids import GenerationId


class Generations(Protocol):
    """The generation of the state.

    Found out anew for every connection and every second. Until it is known what a server has lost,
    no time step and no identifier is accepted from it.
    """

    async def current(self) -> Generation:
        """Return the generation that the state is in, with its floor.

        Raises:
            DependencyUnavailableError: While it is not known.
        """
        ...

    async def raise_floor(self, at: datetime) -> None:
        """Let nothing count that can have been used before a moment; never lowers the floor."""
        ...

    def losses(self) -> AsyncIterator[Generation]:
        """Yield each generation that began because the one before it was lost, for ever."""
        ...


class GenerationRecord(Protocol):
    """Remembers outside of the state that there was a generation."""

    async def last(self) -> GenerationId | None:
        """Return the youngest generation there was; None when there certainly never was one."""
        ...

    async def add(self, generation: Generation) -> None:
        """Remember one; again is harmless."""
        ...


class NoRecord(GenerationRecord):
    """For who forgets the state on purpose: there never was a generation."""

    async def last(self) -> GenerationId | None:
        """Nobody was asked to remember one."""
        return None

    async def add(self, generation: Generation) -> None:
        """Forget it."""
