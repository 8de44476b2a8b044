"""The places of tokens in status lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from stepup.domain.ids import TokenId
from stepup.domain.revocation import Ground
from stepup.domain.status import ListedToken


class PlaceWanted(NamedTuple):
    """A token that needs a place, and what can end it.

    `candidates` are places in the order of preference, the same whenever this token comes again.
    `fresh` is the name of the list that begins if none has room. The places of a window are kept
    until `until` at the least.
    """

    window: int
    token_id: TokenId
    grounds: tuple[Ground, ...]
    candidates: Sequence[int]
    fresh: str
    until: datetime


class StatusStore(Protocol):
    """Which token has which place, for as long as one of its window is alive."""

    async def give_place(self, wanted: PlaceWanted) -> ListedToken:
        """Give a token a place that no other token has or had.

        The same token gets its place again, unless its list is full by now. It is acknowledged
        like whatever is spent: a place must not be given twice.

        Raises:
            DependencyUnavailableError: If no candidate is free.
        """
        ...

    async def read(self, window: int, start: int) -> Sequence[ListedToken]:
        """Return the next tokens that were given places, from a number on; nothing at the end.

        Whatever was given before the call is among all that such calls return; counts only from
        a server that is the primary.
        """
        ...
