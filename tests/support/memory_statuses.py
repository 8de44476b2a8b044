"""Places in status lists, in memory."""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import TokenId
from stepup.domain.status import PLACES_USED, ListedToken
from stepup.ports.statuses import PlaceWanted, StatusStore


class MemoryStatusStore(StatusStore):
    """Tokens by place, and in the order in which they got one."""

    def __init__(self) -> None:
        self._listed: dict[int, list[ListedToken]] = {}
        self._taken: dict[tuple[int, str, int], TokenId] = {}
        self._list: dict[int, tuple[str, int]] = {}

    @override
    async def give_place(self, wanted: PlaceWanted) -> ListedToken:
        await asyncio.sleep(0)
        drawn, count = self._list.get(wanted.window, (wanted.fresh, 0))
        if count >= PLACES_USED:
            drawn, count = wanted.fresh, 0
        for place in wanted.candidates:
            by = self._taken.get((wanted.window, drawn, place))
            if by not in {None, wanted.token_id}:
                continue
            listed = ListedToken(drawn, place, wanted.grounds)
            if by is None:
                self._taken[wanted.window, drawn, place] = wanted.token_id
                self._list[wanted.window] = (drawn, count + 1)
                self._listed.setdefault(wanted.window, []).append(listed)
            return listed
        raise DependencyUnavailableError

    @override
    async def read(self, window: int, start: int) -> Sequence[ListedToken]:
        await asyncio.sleep(0)
        return self._listed.get(window, [])[start : start + 3]
