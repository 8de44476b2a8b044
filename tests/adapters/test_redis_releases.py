"""A code that is given back while Redis is away comes back when Redis does."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis.releases import LONGEST_PAUSE, MOST_AT_ONCE
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.challenge import Challenge
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from stepup.ports import ChallengeStore, CodeTakenError, PresentedCode
from tests.contracts.challenges import answer
from tests.contracts.codes import until_unspent
from tests.support.builders import a_challenge, a_presented_code, an_attempt
from tests.support.determinism import StillClock
from tests.support.engines import FAST_REDIS, temporary_directory
from tests.support.stopping import frozen

pytestmark = pytest.mark.redis
MINUTE = timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with temporary_directory() as directory:
        server = EmbeddedRedis(directory, FAST_REDIS)
        yield server
        server.stop()


@pytest.fixture
async def state(server: EmbeddedRedis, clock: StillClock) -> AsyncIterator[RedisState]:
    async with RedisState(server.url, Sealer({1: bytes(32)}, os.urandom), clock) as state:
        yield state


@pytest.fixture
async def challenge(state: RedisState, clock: StillClock) -> Challenge:
    challenge, store = a_challenge(now=clock.now()), state.stores.challenges
    await store.open(challenge, None)
    await answer(store, challenge, clock)
    await store.issue_code(challenge.id, b"code", clock.now())
    return challenge


async def test_a_redemption_that_a_frozen_server_executes_later_is_undone(
    state, server, clock, challenge
):
    store, code, attempt = state.stores.challenges, a_presented_code(challenge, b"code"), "drawn"
    while True:
        with frozen(server):
            with pytest.raises((DependencyUnavailableError, OutcomeUnknownError)) as refused:
                await store.redeem_code(code, attempt, clock.now())
            # Not sent at all when the freeze met something else that waited for its answer.
            if isinstance(refused.value, OutcomeUnknownError):
                await store.release_code(challenge.id, attempt, clock.now() + MINUTE)
                await asyncio.sleep(0.3)
                break
        await asyncio.sleep(0.2)
    # Whoever asked before that would be told of a replay, and the code would stay spent.
    await asyncio.sleep(LONGEST_PAUSE + 0.5)
    await redeemed_when_redis_is_back(store, code, "next", clock)
    with pytest.raises(CodeTakenError):
        await store.redeem_code(code, attempt, clock.now())


async def redeemed_when_redis_is_back(
    store: ChallengeStore, code: PresentedCode, attempt: str, clock: StillClock
) -> None:
    """Redeem; a connection that was given up while the server was frozen may be on its way."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.redeem_code(code, attempt, clock.now())
            except (DependencyUnavailableError, OutcomeUnknownError):
                await asyncio.sleep(0.05)
            else:
                return


async def test_nothing_is_tried_after_the_code_has_expired(state, server, clock, challenge):
    store, code, attempt = state.stores.challenges, a_presented_code(challenge, b"code"), "drawn"
    await store.redeem_code(code, attempt, clock.now())
    await store.release_code(challenge.id, attempt, clock.now())
    await asyncio.sleep(0.05)
    with pytest.raises(CodeTakenError):
        await store.redeem_code(code, "next", clock.now())


async def test_no_more_are_tried_at_once_than_there_is_room_for(state, clock, challenge):
    store = state.stores.challenges
    for _ in range(MOST_AT_ONCE + 50):
        await store.release_code(challenge.id, an_attempt(), clock.now() + MINUTE)
    assert len(store._releases._tasks) <= MOST_AT_ONCE


async def test_closing_gives_up_what_is_under_way(server, clock, challenge):
    sealer = Sealer({1: bytes(32)}, os.urandom)
    async with asyncio.timeout(5), RedisState(server.url, sealer, clock) as state:
        await state.stores.challenges.release_code(challenge.id, "drawn", clock.now() + MINUTE)
        await until_unspent(state.stores.challenges, challenge)
