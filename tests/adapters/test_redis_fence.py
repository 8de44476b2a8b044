"""What the Sentinels' answers mean, and how questions are shared."""

import asyncio

import pytest

from stepup.adapters.redis.failover import SentinelResolver, newest_of
from stepup.adapters.redis.fence import ROUND_SPACING, SentinelFence, Verdict, judge
from stepup.adapters.redis.replies import FenceError
from stepup.adapters.redis.sentinel import Sighting
from stepup.adapters.redis.sentinel_url import SentinelUrl

HERE, THERE = ("10.0.0.1", 6379), ("10.0.0.2", 6379)


def sighting(**changes: object) -> Sighting:
    fields = {"address": HERE, "config_epoch": 1, "is_down": False}
    return Sighting(**fields | changes)


OK = sighting()
AWAY = None
DOWN = sighting(is_down=True)
STANDING = sighting(is_failing_over=True)
VOTED = sighting(has_voted=True)
VOTED_DOWN = sighting(has_voted=True, is_down=True)
NEWER = sighting(address=THERE, config_epoch=2)
AS_NEW = sighting(address=THERE)
OLDER = sighting(address=THERE, config_epoch=0)


class TestJudgement:
    @pytest.mark.parametrize(
        "sightings",
        [(OK, OK, OK), (OK, OK, AWAY), (OK, AWAY, OK), (OK, OK, DOWN), (OK, OK, OLDER)],
    )
    def test_a_majority_without_a_veto_passes(self, sightings):
        assert judge(sightings, HERE) is Verdict.OK

    @pytest.mark.parametrize(
        "sightings",
        [
            (OK, OK, STANDING),
            (STANDING, OK, OK),
            (VOTED, VOTED, STANDING),
            (OK, OK, VOTED_DOWN),
            (VOTED, OK, AWAY),
            (VOTED, OK, OLDER),
            (OK, OK, NEWER),
            (OK, OK, AS_NEW),
        ],
    )
    def test_one_that_knows_of_an_election_stops_all(self, sightings):
        assert judge(sightings, HERE) is Verdict.VETO

    @pytest.mark.parametrize("sightings", [(OK, OK, VOTED), (VOTED, VOTED, OK)])
    def test_a_vote_is_void_when_all_are_heard_and_nobody_stands(self, sightings):
        """After a split vote the loser's voters keep a vote newer than the configuration."""
        assert judge(sightings, HERE) is Verdict.OK

    @pytest.mark.parametrize(
        "sightings",
        [
            (OK, AWAY, AWAY),
            (AWAY, AWAY, AWAY),
            (OK, DOWN, DOWN),
            (OK, NEWER, NEWER),
            (OK, DOWN, AWAY),
            (OK, OK, AWAY, AWAY),
            (AWAY,),
        ],
    )
    def test_a_majority_of_the_configured_sentinels_is_needed(self, sightings):
        assert judge(sightings, HERE) is Verdict.NO_MAJORITY

    @pytest.mark.parametrize("epoch", [1, 2, None])
    def test_it_is_the_primary_of_the_configuration_in_which_it_was_found(self, epoch):
        assert judge((OK, OK, OK), HERE, epoch) is Verdict.OK

    def test_a_primary_that_was_deposed_and_is_the_primary_again_does_not_pass(self):
        """Two failovers while a caller was paused: what it said before may be forgotten."""
        again = sighting(config_epoch=3)
        assert judge((again, again, again), HERE, 1) is Verdict.VETO
        assert judge((OK, OK, again), HERE, 1) is Verdict.VETO

    def test_the_new_primary_passes_once_a_majority_names_it(self):
        assert judge((NEWER, NEWER, OK), THERE) is Verdict.OK


class TestNewestConfiguration:
    def test_the_largest_epoch_wins_against_a_majority(self):
        assert newest_of([OK, OK, NEWER]) is NEWER

    def test_with_one_epoch_the_majority_wins(self):
        assert newest_of([AS_NEW, OK, OK]).address == HERE

    def test_nobody_says_nothing(self):
        assert newest_of([]) is None


class TestWhoIsFollowed:
    """What a resolver makes of one round of answers after another."""

    @pytest.fixture
    def clock(self, monkeypatch) -> list[float]:
        now = [0.0]
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)
        monkeypatch.setattr(self, "time", lambda: now[0], raising=False)
        return now

    @pytest.fixture
    def resolver(self, clock) -> SentinelResolver:
        url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/stepup/0"
        resolver = SentinelResolver(SentinelUrl.parse(url), "test")
        resolver._learn([OK, OK, NEWER])
        return resolver

    def test_two_who_have_not_heard_yet_lead_nobody_back(self, resolver, clock):
        before = resolver.generation
        for _ in range(40):
            resolver._learn([OK, OK])
            clock[0] += 0.25
            resolver._learn([OK, OK, NEWER])
        assert resolver.generation == before
        assert resolver._current.address == THERE

    def test_a_majority_is_believed_that_goes_on_saying_less(self, resolver, clock):
        resolver._learn([OK, OK])
        clock[0] += 9.9
        resolver._learn([OK, OK])
        assert resolver._current.address == THERE
        clock[0] += 0.2
        resolver._learn([OK, OK])
        assert resolver._current.address == HERE

    def test_all_together_are_believed_at_once(self, resolver, clock):
        resolver._learn([OK, OK, OK])
        assert resolver._current.address == HERE

    def test_one_of_three_never(self, resolver, clock):
        for _ in range(100):
            resolver._learn([OK])
            clock[0] += 1
        assert resolver._current.address == THERE


class CountingSentinel:
    """A Sentinel that counts questions and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.at: list[float] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.says: Sighting | None = OK

    async def ask(self, address: tuple[str, int]) -> Sighting | None:
        self.asked.append(address)
        self.at.append(asyncio.get_running_loop().time())
        await self.answers.wait()
        return self.says


class TestRounds:
    @pytest.fixture
    def sentinel(self) -> CountingSentinel:
        return CountingSentinel()

    @pytest.fixture
    async def fence(self, sentinel):
        fence = SentinelFence([sentinel])
        yield fence
        await fence.close()

    async def test_all_who_come_together_share_one_question(self, fence, sentinel):
        await asyncio.gather(*(fence.check(HERE) for _ in range(100)))
        assert sentinel.asked == [HERE]

    async def test_who_comes_during_a_round_gets_the_next_one(self, fence, sentinel):
        """An answer that was on its way before the acknowledgement would prove nothing."""
        sentinel.answers.clear()
        first = asyncio.create_task(fence.check(HERE))
        await asyncio.sleep(0.005)
        late = [asyncio.create_task(fence.check(HERE)) for _ in range(10)]
        await asyncio.sleep(0.005)
        assert len(sentinel.asked) == 1
        sentinel.says = STANDING
        sentinel.answers.set()
        results = await asyncio.gather(first, *late, return_exceptions=True)
        assert len(sentinel.asked) == 2
        assert all(isinstance(each, FenceError) for each in results)

    async def test_rounds_begin_a_millisecond_apart(self, fence, sentinel):
        for _ in range(5):
            await fence.check(HERE)
        gaps = [later - sooner for sooner, later in zip(sentinel.at, sentinel.at[1:], strict=False)]
        assert min(gaps) >= ROUND_SPACING * 0.99

    async def test_each_server_is_judged_for_itself(self, fence, sentinel):
        results = await asyncio.gather(
            fence.check(HERE), fence.check(THERE), return_exceptions=True
        )
        assert results[0] is None
        assert isinstance(results[1], FenceError)

    async def test_one_who_leaves_takes_nothing_from_the_others(self, fence, sentinel):
        sentinel.answers.clear()
        left, stayed = (asyncio.create_task(fence.check(HERE)) for _ in range(2))
        await asyncio.sleep(0.005)
        left.cancel()
        sentinel.answers.set()
        assert await stayed is None

    async def test_closing_lets_nobody_through(self, sentinel):
        fence = SentinelFence([sentinel])
        sentinel.answers.clear()
        waiting = asyncio.create_task(fence.check(HERE))
        await asyncio.sleep(0.005)
        await fence.close()
        with pytest.raises(FenceError):
            await waiting
