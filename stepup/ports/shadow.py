"""What the shadow says: decisions that wait for it, and what was counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.ids import ActionName
from stepup.domain.replay import Example
from stepup.domain.shadow import ShadowTally, Watched


class ShadowFindings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything counted for one text, by all instances; examples are the latest of each kind."""

    since: datetime | None = None
    counts: Mapping[tuple[ActionName, str], int] = {}
    examples: Sequence[Example] = ()


class ShadowLog(Protocol):
    """Decisions on their way past the shadow, and what it made of them.

    No decision waits for any of it, and none fails because of it.
    """

    def add(self, watched: Watched) -> bool:
        """Hand over a decision that was answered; False when there is no room for it."""
        ...

    def take(self, count: int) -> Sequence[Watched]:
        """Take the oldest that were handed over in this process."""
        ...

    async def count(self, digest: str, tally: ShadowTally) -> None:
        """Add to what was counted for the text of that digest; kept for 30 days after the last."""
        ...

    async def find(self, digest: str) -> ShadowFindings:
        """Return what was counted for a text, nothing when nothing was."""
        ...
