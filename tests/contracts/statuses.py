"""What `StatusStore` promises."""

import asyncio
import itertools
from datetime import datetime

import pytest

from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import SubjectId, TokenId
from stepup.domain.revocation import Ground, Revoked
from stepup.domain.status import ListedToken, end_of, window_of
from stepup.ports import State, StatusStore
from stepup.ports.statuses import PlaceWanted
from tests.support.builders import an_attempt
from tests.support.determinism import StillClock

_windows = itertools.count(1)


class StatusStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def window(self, clock: StillClock) -> int:
        """A window that no other test uses."""
        return window_of(clock.now()) + next(_windows)

    @pytest.fixture
    def store(self, states: tuple[State, State]) -> StatusStore:
        return states[0].statuses

    async def test_a_token_gets_its_first_place(self, store, window):
        listed = await store.give_place(wanted(window, "one", 7, 9))
        assert (listed.drawn, listed.place) == ("fresh", 7)

    async def test_no_place_is_given_twice(self, states, window):
        """Sixty-four at two instances, who all want the same ones."""
        given = await asyncio.gather(
            *(
                states[i % 2].statuses.give_place(
                    wanted(window, f"token-{i}", *range(64), fresh=f"fresh-{i}")
                )
                for i in range(64)
            )
        )
        assert len({(each.drawn, each.place) for each in given}) == 64
        assert len({each.drawn for each in given}) == 1

    async def test_a_repeated_attempt_gets_the_same_place(self, states, window):
        again = wanted(window, "one", 7, 9)
        given = await asyncio.gather(*(states[i % 2].statuses.give_place(again) for i in range(8)))
        assert {(each.drawn, each.place) for each in given} == {("fresh", 7)}
        assert len(await states[1].statuses.read(window, 0)) == 1

    async def test_what_is_taken_is_passed_over(self, store, window):
        await store.give_place(wanted(window, "one", 7))
        assert (await store.give_place(wanted(window, "other", 7, 9))).place == 9

    async def test_without_a_free_place_there_is_none(self, store, window):
        await store.give_place(wanted(window, "one", 7))
        with pytest.raises(DependencyUnavailableError):
            await store.give_place(wanted(window, "other", 7))

    async def test_a_list_that_is_full_is_followed_by_another(self, store, window, monkeypatch):
        for module in places_used_in(store):
            monkeypatch.setattr(module, "PLACES_USED", 2)
        given = [
            await store.give_place(wanted(window, f"token-{i}", *range(9), fresh=f"fresh-{i}"))
            for i in range(5)
        ]
        assert [each.drawn for each in given] == ["fresh-0"] * 2 + ["fresh-2"] * 2 + ["fresh-4"]

    async def test_all_of_a_window_is_read_in_order(self, states, window):
        assert list(await states[0].statuses.read(window, 0)) == []
        given = [
            await states[0].statuses.give_place(wanted(window, f"token-{i}", i)) for i in range(5)
        ]
        read: list[ListedToken] = []
        while page := await states[1].statuses.read(window, len(read)):
            read += page
        assert read == given


def places_used_in(store: StatusStore) -> list[object]:
    """Return the modules that the store knows the limit from."""
    return [__import__(type(store).__module__, fromlist=["PLACES_USED"])]


def wanted(window: int, name: str, *candidates: int, fresh: str = "fresh") -> PlaceWanted:
    """Want a place for a token."""
    moment: datetime = end_of(window)
    grounds = (Ground(Revoked.SUBJECT, SubjectId(an_attempt()), moment),)
    return PlaceWanted(window, TokenId(name), grounds, candidates, fresh, moment)
