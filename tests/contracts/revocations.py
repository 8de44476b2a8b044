"""What `RevocationFeed` and `RevocationStore` promise."""

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta

import msgspec
import pytest

from stepup.domain.assurance import Acr
from stepup.domain.ids import (
    AuthenticatorId,
    ChallengeId,
    ClientId,
    KeyId,
    Subject,
    SubjectId,
    TokenId,
)
from stepup.domain.revocation import Revocation
from stepup.domain.token import ElevatedToken
from stepup.ports import Database, FeedPlace, RevocationFeed, State
from tests.support.builders import a_subject, an_attempt
from tests.support.determinism import NOON, StillClock

MINUTE = timedelta(minutes=1)
SUBJECT = SubjectId("alice")


def of_a_token(**changes: object) -> Revocation:
    """Revoke a token that nobody else revokes."""
    revocation = Revocation.of_token(TokenId(f"r1.x.{an_attempt()}"), NOON + 2 * MINUTE, NOON)
    return msgspec.structs.replace(revocation, **changes)


def of_each_kind() -> list[Revocation]:
    """Revoke one of everything."""
    return [
        of_a_token(),
        Revocation.of_grant(ChallengeId(f"r1.{an_attempt()}"), NOON + 2 * MINUTE, NOON),
        Revocation.of_subject(a_subject(an_attempt()).id, NOON),
        Revocation.of_key(KeyId(an_attempt()), NOON, NOON),
        Revocation.of_client(ClientId(an_attempt()), NOON),
        Revocation.of_removed(a_subject(an_attempt()).id, AuthenticatorId(an_attempt()), NOON),
    ]


def a_token(name: str, subject: Subject, at: datetime = NOON) -> ElevatedToken:
    """Return a token that was proved and issued at a moment."""
    return ElevatedToken(
        id=TokenId(name),
        challenge_id=ChallengeId(f"r1.{name}"),
        client_id=ClientId("bank"),
        subject=subject,
        audience="bank-api",
        acr=Acr("phr"),
        amr=(),
        auth_time=at,
        issued_at=at,
        expires_at=at + 2 * MINUTE,
    )


class RevocationFeedContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    async def place(self, states: tuple[State, State]) -> FeedPlace:
        """Where the feed ends before the test."""
        return (await states[0].revocations.read_all())[1]

    async def test_what_is_published_is_read_in_order_by_everybody(self, states, place):
        published = of_each_kind()
        for revocation in published:
            await states[0].revocations.publish(revocation)
        for state in states:
            page = await state.revocations.read(place)
            assert [each for _, each in page.numbered] == published
            assert [number - place.number for number, _ in page.numbered] == list(range(1, 7))
            assert (page.place.number, page.newest) == (place.number + 6,) * 2

    async def test_reading_on_returns_what_is_new(self, states, place):
        await states[0].revocations.publish(of_a_token())
        page = await states[0].revocations.read(place)
        assert list((await states[0].revocations.read(page.place)).numbered) == []
        new = of_a_token()
        await states[1].revocations.publish(new)
        assert (await states[0].revocations.read(page.place)).numbered[0][1] == new

    async def test_a_place_in_another_feed_is_not_continued(self, states):
        await states[0].revocations.publish(of_a_token())
        _, place = await states[0].revocations.read_all()
        assert (await states[0].revocations.read(place)).is_continued
        assert (await states[0].revocations.read(FeedPlace("0-0", 0))).is_continued
        elsewhere = FeedPlace("99999999999999-0", place.number)
        assert not (await states[0].revocations.read(elsewhere)).is_continued

    async def test_publishing_again_tells_nobody_twice(self, states, place):
        revocation = of_a_token()
        for state in (*states, *states):
            await state.revocations.publish(revocation)
        page = await states[0].revocations.read(place)
        assert [each for _, each in page.numbered] == [revocation]

    async def test_one_that_ends_more_is_told(self, states, place):
        first = Revocation.of_key(KeyId(an_attempt()), NOON, NOON)
        more = msgspec.structs.replace(first, before=NOON + MINUTE)
        for revocation in (first, more, first):
            await states[0].revocations.publish(revocation)
        page = await states[0].revocations.read(place)
        assert [each for _, each in page.numbered] == [first, more]

    async def test_of_concurrent_revocations_each_has_a_number(self, states, place):
        published = [of_a_token() for _ in range(64)]
        await asyncio.gather(
            *(states[i % 2].revocations.publish(each) for i, each in enumerate(published))
        )
        page = await states[0].revocations.read(place)
        assert {each.value for _, each in page.numbered} == {each.value for each in published}
        numbers = [number for number, _ in page.numbered]
        assert numbers == list(range(place.number + 1, place.number + 65))

    async def test_a_mark_says_at_once_what_has_ended(self, states):
        kid, alice, bob = KeyId(an_attempt()), a_subject(), a_subject()
        ended = Revocation.of_token(TokenId(an_attempt()), NOON + MINUTE, NOON)
        tokens = {
            "its own": a_token(ended.value, bob),
            "its ceremony's": a_token(an_attempt(), bob),
            "the subject's": a_token(an_attempt(), alice),
            "the subject's later one": a_token(an_attempt(), alice, NOON + MINUTE),
            "the key's": a_token(an_attempt(), bob),
            "the key's later one": a_token(an_attempt(), bob, NOON + MINUTE),
        }
        for revocation in (
            ended,
            Revocation.of_grant(tokens["its ceremony's"].challenge_id, NOON + MINUTE, NOON),
            Revocation.of_subject(alice.id, NOON),
            Revocation.of_key(kid, NOON + MINUTE, NOON),
        ):
            await states[0].revocations.publish(revocation)
        over = [
            await states[1].revocations.is_revoked(token, kid if "key" in name else KeyId("other"))
            for name, token in tokens.items()
        ]
        assert over == [True, True, True, False, True, False]

    async def test_everything_alive_can_be_read_at_once(self, states):
        published = of_each_kind()
        for revocation in published:
            await states[0].revocations.publish(revocation)
        found, place = await states[1].revocations.read_all()
        assert {each.value for each in published} <= {each.value for each in found}
        assert list((await states[1].revocations.read(place)).numbered) == []

    async def test_a_revocation_that_is_late_is_harmless(self, states, clock):
        await states[0].revocations.publish(of_a_token(until=clock.now() - MINUTE))

    async def test_a_heartbeat_a_second_and_no_more(self, states, place, clock: StillClock):
        clock.advance(timedelta(seconds=1))
        await asyncio.gather(*(states[i % 2].revocations.beat() for i in range(16)))
        page = await states[0].revocations.read(place)
        assert (page.newest, page.last_at) == (place.number, clock.now())
        clock.advance(timedelta(milliseconds=900))
        await states[0].revocations.beat()
        assert (await states[0].revocations.read(page.place)).place == page.place

    async def test_everybody_who_listens_hears_it(self, states, clock):
        heard = [asyncio.create_task(hear_one(state.revocations)) for state in (*states, *states)]
        await asyncio.sleep(0.2)
        revocation = of_a_token()
        await states[0].revocations.publish(revocation)
        assert await asyncio.wait_for(asyncio.gather(*heard), timeout=3) == [revocation] * 4


async def hear_one(feed: RevocationFeed) -> Revocation:
    """Listen until there is one."""
    async with aclosing(feed.listen()) as heard:
        async for revocation in heard:
            if revocation is not None:
                return revocation
    raise AssertionError


class RevocationStoreContract:
    """Subclass it and provide `database`: an empty one."""

    async def test_keeps_them_in_the_order_of_writing(self, database: Database):
        revocations = of_each_kind()
        for revocation in revocations:
            await database.keep_revocation(revocation)
        assert await live(database) == revocations

    async def test_the_same_again_is_one_row(self, database: Database):
        revocation = of_a_token()
        await database.keep_revocation(revocation)
        async with database.transaction() as stores:
            await stores.revocations.add([revocation, revocation])
            await stores.revocations.add([])
        assert await live(database) == [revocation]

    async def test_the_strictest_of_several_counts_in_any_order(self, database: Database):
        first = Revocation.of_subject(SUBJECT, NOON)
        second = Revocation.of_subject(SUBJECT, NOON + MINUTE)
        for revocation in (second, first, second):
            await database.keep_revocation(revocation)
        [kept] = await live(database)
        assert (kept.before, kept.until) == (second.before, second.until)

    async def test_what_concerns_nobody_is_not_live(self, database: Database):
        await database.keep_revocation(of_a_token(until=NOON))
        assert await live(database) == []

    async def test_reads_on_from_a_moment(self, database: Database):
        first, second = of_a_token(), of_a_token(at=NOON + MINUTE)
        await database.keep_revocation(first)
        await asyncio.sleep(0.01)
        await database.keep_revocation(second)
        async with database.transaction() as stores:
            rows = await stores.revocations.live(NOON)
            later = await stores.revocations.live(NOON, since=rows[1].written_at)
        assert [row.revocation for row in later] == [second]

    async def test_a_raised_one_is_met_again(self, database: Database):
        first, other = Revocation.of_key(KeyId("k"), NOON, NOON), of_a_token(at=NOON + MINUTE)
        for revocation in (first, other, msgspec.structs.replace(first, before=NOON + MINUTE)):
            await database.keep_revocation(revocation)
        assert [each.value for each in await live(database)] == [other.value, "k"]

    async def test_forgets_what_ended_long_ago(self, database: Database):
        old, young = of_a_token(until=NOON - MINUTE), of_a_token()
        for revocation in (old, young):
            await database.keep_revocation(revocation)
        async with database.transaction() as stores:
            await stores.revocations.forget(NOON - 2 * MINUTE)
            assert len(await stores.revocations.live(NOON - 5 * MINUTE)) == 2
            await stores.revocations.forget(NOON)
            assert [r.revocation for r in await stores.revocations.live(NOON - 5 * MINUTE)] == [
                young
            ]


async def live(database: Database) -> list[Revocation]:
    """Return what is live at noon."""
    async with database.transaction() as stores:
        return [row.revocation for row in await stores.revocations.live(NOON)]
