"""What `RefreshStore` promises: of each refresh token one attempt gets the next."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.errors import DependencyUnavailableError, InvalidGrantError
from stepup.domain.ids import ChallengeId
from stepup.domain.refresh import RefreshGrant
from stepup.ports import CurrentRefresh, RefreshReusedError, RefreshStore, Rotation, State
from tests.support.builders import a_refresh_grant, an_attempt
from tests.support.determinism import StillClock

MINUTE = timedelta(minutes=1)


class RefreshStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    # Whether there are replicas to hold anything.
    replicated = False

    @pytest.fixture
    def stores(self, states: tuple[State, State]) -> tuple[RefreshStore, RefreshStore]:
        return states[0].refreshes, states[1].refreshes

    @pytest.fixture
    def store(self, stores: tuple[RefreshStore, RefreshStore]) -> RefreshStore:
        return stores[0]

    @pytest.fixture
    async def grant(self, store: RefreshStore, clock: StillClock) -> RefreshGrant:
        grant = a_refresh_grant(now=clock.now())
        await store.open(grant)
        return grant

    async def test_what_is_opened_is_found_as_it_was(self, stores, grant):
        assert await stores[1].find(grant.challenge_id) == grant
        assert await stores[1].find(ChallengeId("r1.nobody")) is None

    async def test_each_use_gives_the_next(self, stores, clock, grant):
        for count in range(4):
            clock.advance(MINUTE)
            rotation = await stores[count % 2].rotate(
                grant.challenge_id, count, an_attempt(), clock.now()
            )
            assert rotation == Rotation(used_at=clock.now())

    async def test_of_64_concurrent_uses_one_wins_and_it_ends(self, stores, clock, grant):
        results = await asyncio.gather(
            *(
                stores[i % 2].rotate(grant.challenge_id, 0, an_attempt(), clock.now())
                for i in range(64)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(r, Rotation) for r in results) == 1
        # The first of the others ends it, and may die of it: the rest hear the same.
        assert sum(isinstance(r, RefreshReusedError) for r in results) == 63
        with pytest.raises(RefreshReusedError):
            await stores[0].rotate(grant.challenge_id, 1, an_attempt(), clock.now())

    async def test_64_requests_of_one_attempt_get_one_answer(self, stores, clock, grant):
        attempt = an_attempt()
        results = await asyncio.gather(
            *(stores[i % 2].rotate(grant.challenge_id, 0, attempt, clock.now()) for i in range(64))
        )
        assert {r.used_at for r in results} == {clock.now()}
        assert sum(not r.repeated for r in results) == 1

    async def test_the_same_attempt_gets_the_same_again(self, stores, clock, grant):
        attempt = an_attempt()
        first = await stores[0].rotate(grant.challenge_id, 0, attempt, clock.now())
        clock.advance(MINUTE)
        again = await stores[1].rotate(grant.challenge_id, 0, attempt, clock.now())
        assert again == Rotation(used_at=first.used_at, repeated=True)

    async def test_one_that_was_used_ends_all_of_them(self, stores, clock, grant):
        attempt = an_attempt()
        await stores[0].rotate(grant.challenge_id, 0, attempt, clock.now())
        await stores[0].rotate(grant.challenge_id, 1, an_attempt(), clock.now())
        # Also when its own attempt comes late.
        with pytest.raises(RefreshReusedError):
            await stores[1].rotate(grant.challenge_id, 0, attempt, clock.now())
        for count in (0, 1, 2, 3):
            with pytest.raises(RefreshReusedError):
                await stores[0].rotate(grant.challenge_id, count, an_attempt(), clock.now())

    async def test_what_has_ended_is_not_opened_again(self, store, clock, grant):
        await store.rotate(grant.challenge_id, 0, an_attempt(), clock.now())
        await store.open(grant)
        with pytest.raises(RefreshReusedError):
            await store.rotate(grant.challenge_id, 0, an_attempt(), clock.now())
        await store.open(grant)
        with pytest.raises(RefreshReusedError):
            await store.rotate(grant.challenge_id, 1, an_attempt(), clock.now())
        assert await store.current(grant.challenge_id) is None

    async def test_which_one_is_good_now_is_read_without_using_it(self, stores, clock, grant):
        for count in range(3):
            for store in stores:
                assert await store.current(grant.challenge_id) == CurrentRefresh(grant, count)
            await stores[0].rotate(grant.challenge_id, count, an_attempt(), clock.now())
        assert await stores[0].current(ChallengeId("r1.nobody")) is None

    async def test_before_the_first_use_it_may_be_opened_for_another_key(self, store, clock, grant):
        other = a_refresh_grant(now=clock.now(), challenge_id=grant.challenge_id, is_public=True)
        await store.open(other)
        assert await store.find(grant.challenge_id) == other

    async def test_a_count_that_was_forgotten_is_learned_again(self, store, clock, grant):
        """After a failover that lost the last uses, whoever has the newest token goes on."""
        assert await store.rotate(grant.challenge_id, 5, an_attempt(), clock.now())
        with pytest.raises(RefreshReusedError):
            await store.rotate(grant.challenge_id, 4, an_attempt(), clock.now())

    async def test_nothing_is_used_after_its_end(self, store, clock, grant):
        clock.advance(grant.expires_at - clock.now() - timedelta(seconds=1))
        attempt = an_attempt()
        first = await store.rotate(grant.challenge_id, 0, attempt, clock.now())
        clock.advance(timedelta(seconds=1))
        assert (await store.rotate(grant.challenge_id, 0, attempt, clock.now())).repeated
        assert first.used_at < grant.expires_at
        with pytest.raises(InvalidGrantError):
            await store.rotate(grant.challenge_id, 1, an_attempt(), clock.now())

    async def test_what_nobody_opened_is_not_used(self, store, clock):
        with pytest.raises(InvalidGrantError):
            await store.rotate(ChallengeId("r1.nobody"), 0, an_attempt(), clock.now())

    async def test_without_a_replica_nothing_is_held_everywhere(self, store, clock, grant):
        attempt, now = an_attempt(), clock.now()
        if self.replicated:
            assert await store.rotate(grant.challenge_id, 0, attempt, now, everywhere=True)
            return
        with pytest.raises(DependencyUnavailableError):
            await store.rotate(grant.challenge_id, 0, attempt, now, everywhere=True)
        assert await store.rotate(grant.challenge_id, 0, attempt, now)

    async def test_one_that_was_given_back_is_as_good_as_new(self, stores, clock, grant):
        attempt, until = an_attempt(), clock.now() + MINUTE
        await stores[0].rotate(grant.challenge_id, 0, attempt, clock.now())
        await stores[0].release(grant.challenge_id, 0, attempt, until)
        await asyncio.sleep(0.05)
        assert not (
            await stores[1].rotate(grant.challenge_id, 0, an_attempt(), clock.now())
        ).repeated

    async def test_nobody_gives_back_what_another_attempt_has(self, stores, clock, grant):
        attempt, until = an_attempt(), clock.now() + MINUTE
        await stores[0].rotate(grant.challenge_id, 0, attempt, clock.now())
        await stores[1].release(grant.challenge_id, 0, an_attempt(), until)
        await asyncio.sleep(0.05)
        assert (await stores[1].rotate(grant.challenge_id, 0, attempt, clock.now())).repeated

    async def test_what_has_ended_is_not_given_back(self, stores, clock, grant):
        attempt, until = an_attempt(), clock.now() + MINUTE
        await stores[0].rotate(grant.challenge_id, 0, attempt, clock.now())
        with pytest.raises(RefreshReusedError):
            await stores[1].rotate(grant.challenge_id, 0, an_attempt(), clock.now())
        await stores[0].release(grant.challenge_id, 0, attempt, until)
        await asyncio.sleep(0.05)
        with pytest.raises(RefreshReusedError):
            await stores[1].rotate(grant.challenge_id, 0, an_attempt(), clock.now())
