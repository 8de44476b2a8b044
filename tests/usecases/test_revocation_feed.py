"""Following the feed: what is missed shows, and nobody believes himself fresh who is not."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import SubjectId, TokenId
from stepup.domain.revocation import Revocation
from stepup.ports import FeedPlace, Ports
from stepup.usecases import revocation_feed, revoke
from stepup.usecases.revocation_feed import FeedStalledError, LiveRevocations, look, look_at_rows
from tests.support.application import memory_ports
from tests.support.determinism import NOON
from tests.support.memory_revocations import MemoryRevocationFeed

MINUTE = timedelta(minutes=1)
START = FeedPlace("0-0", 0)


class Process:
    """A process that follows the feed; its time passes when a test says so."""

    def __init__(self, ports: Ports) -> None:
        self.now = 100.0
        self.live = LiveRevocations(lambda: self.now)
        self.ports = ports._replace(revocations=self.live)

    @property
    def knows(self) -> set[str]:
        return {each.value for each in self.live.entries()}


@pytest.fixture
def ports() -> Ports:
    return memory_ports()


@pytest.fixture
def process(ports: Ports) -> Process:
    return Process(ports)


def of_token(name: str) -> Revocation:
    return Revocation.of_token(TokenId(name), NOON + 2 * MINUTE, NOON)


async def test_whoever_never_looked_knows_nothing(process: Process):
    assert process.live.age is None
    with pytest.raises(FeedStalledError):
        await process.live.check()


async def test_a_look_finds_everything_and_the_next_one_what_is_new(process: Process):
    feed = process.ports.state.revocations
    await feed.publish(of_token("one"))
    place = await look(process.ports, process.live, None)
    assert process.knows == {"one"}
    await feed.publish(of_token("two"))
    await look(process.ports, process.live, place)
    assert process.knows == {"one", "two"}
    assert process.live.age == timedelta(0)


async def test_a_place_that_is_kept_is_read_from(process: Process):
    feed = process.ports.state.revocations
    for name in ("one", "two"):
        await feed.publish(of_token(name))
    assert (await look(process.ports, process.live, START)).number == 2
    assert process.knows == {"one", "two"}


async def test_a_heartbeat_is_added_when_the_last_entry_is_old(process: Process):
    place = await look(process.ports, process.live, None)
    assert place.number == 0
    page = await process.ports.state.revocations.read(START)
    assert page.last_at == NOON
    await look(process.ports, process.live, page.place)
    assert (await process.ports.state.revocations.read(page.place)).place == page.place


@pytest.mark.parametrize("deleted", [0, 1, 2])
async def test_a_gap_in_the_feed_is_found_and_closed(process: Process, deleted: int):
    feed = process.ports.state.revocations
    place = await look(process.ports, process.live, None)
    for name in ("one", "two", "three"):
        await feed.publish(of_token(name))
    feed.delete(f"{['one', 'two', 'three'][deleted]}")

    await look(process.ports, process.live, place)

    assert process.knows == {"one", "two", "three"}


async def test_a_feed_that_lost_everything_is_given_it_back(process: Process):
    await revoke.revoke_subject(process.ports, SubjectId("alice"))
    place = await look(process.ports, process.live, None)
    empty = MemoryRevocationFeed(process.ports.clock)
    state = process.ports.state._replace(revocations=empty)

    await look(process.ports._replace(state=state), process.live, place)

    assert [each.value for each in (await empty.read_all())[0]] == ["alice"]


async def test_a_feed_that_began_anew_with_the_same_number_is_noticed(process: Process):
    """Lost before anybody had read the number: what was heard meanwhile is all there is."""
    place = await look(process.ports, process.live, None)
    process.live.learn(of_token("heard"), published=True)
    empty = MemoryRevocationFeed(process.ports.clock)
    state = process.ports.state._replace(revocations=empty)

    await look(process.ports._replace(state=state), process.live, place)

    assert [each.value for each in (await empty.read_all())[0]] == ["heard"]


async def test_postgres_knows_what_an_empty_redis_does_not(process: Process):
    await process.ports.database.keep_revocation(of_token("one"))
    await look(process.ports, process.live, None)
    assert process.knows == {"one"}


async def test_age_counts_from_the_question_and_not_from_the_answer(
    process: Process, monkeypatch: pytest.MonkeyPatch
):
    """Whoever was paused between the two would believe himself fresh."""
    read = process.ports.state.revocations.read

    async def paused(after: FeedPlace):
        page = await read(after)
        process.now += 60.0
        return page

    monkeypatch.setattr(process.ports.state.revocations, "read", paused)
    await look(process.ports, process.live, START)
    assert process.live.age == timedelta(seconds=60)
    with pytest.raises(FeedStalledError):
        await process.live.check()


async def test_rows_alone_keep_it_fresh(process: Process):
    since = await look_at_rows(process.ports, process.live, None)
    await process.ports.database.keep_revocation(of_token("one"))
    process.now += 4.0
    await look_at_rows(process.ports, process.live, since)
    assert process.knows == {"one"}
    assert process.live.age == timedelta(0)


async def test_an_older_look_does_not_make_it_older(process: Process):
    process.live.confirm(90.0)
    process.live.confirm(80.0)
    assert process.live.age == timedelta(seconds=10)


async def test_what_is_published_late_is_published_once(process: Process):
    process.live.learn(of_token("one"), published=False)
    for _ in range(2):
        await revocation_feed.publish_late(process.ports, process.live)
    assert (await process.ports.state.revocations.read(START)).newest == 1


async def test_what_cannot_be_published_waits_on(process: Process, monkeypatch):
    async def away(_revocation: Revocation) -> None:
        raise DependencyUnavailableError

    process.live.learn(of_token("one"), published=False)
    with monkeypatch.context() as patched:
        patched.setattr(process.ports.state.revocations, "publish", away)
        with pytest.raises(DependencyUnavailableError):
            await revocation_feed.publish_late(process.ports, process.live)
    await revocation_feed.publish_late(process.ports, process.live)
    assert (await process.ports.state.revocations.read(START)).newest == 1


async def test_following_hears_at_once_and_bears_two_stores_that_are_away(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_args: object, **_options: object) -> None:
        raise DependencyUnavailableError

    process = Process(ports)
    monkeypatch.setattr(ports.state.revocations, "read", away)
    monkeypatch.setattr(ports.state.revocations, "read_all", away)
    monkeypatch.setattr(type(ports.database), "transaction", lambda _self: Away())
    following = asyncio.create_task(revocation_feed.follow(process.ports, process.live))
    await asyncio.sleep(0.05)
    await ports.state.revocations.publish(of_token("one"))
    await asyncio.sleep(0.05)
    assert process.knows == {"one"}
    assert process.live.age is None
    assert not following.done()
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


class Away:
    """A transaction that does not begin."""

    async def __aenter__(self):
        raise DependencyUnavailableError

    async def __aexit__(self, *_exc: object):
        raise AssertionError
