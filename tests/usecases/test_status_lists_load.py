"""A hundred thousand tokens in a window: lists are made beside the requests, not in their place."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import pytest

from stepup.domain.ids import AuthenticatorId, ChallengeId, KeyId, Subject, TokenId
from stepup.domain.revocation import Revocation, grounds_of
from stepup.domain.status import PLACES, ListedToken, window_of
from stepup.domain.token import ElevatedToken
from tests.support.world import World
from tests.usecases.steps import issued
from tests.usecases.test_status_lists import Instance

TOKENS = 100_000
PAGE = 1_000
# The figures are those of a machine with others on it; a list made in one piece takes a second.
LONGEST_STALL = 0.25

pytestmark = pytest.mark.long


def many(token: ElevatedToken) -> list[ListedToken]:
    listed = []
    for i in range(TOKENS):
        one = msgspec.structs.replace(
            token,
            id=TokenId(f"r1.{i:022}.{i:022}"),
            challenge_id=ChallengeId(f"r1.{i:022}"),
            subject=Subject("https://idp.example", f"user-{i}"),
            authenticators=(AuthenticatorId(f"authenticator-{i}"),),
        )
        listed.append(ListedToken("drawn", i * 7 % PLACES, grounds_of(one, KeyId("k1"))))
    return listed


async def stalled(work: asyncio.Task[None]) -> float:
    """Return for how long the loop served nobody else while this was done."""
    longest = 0.0
    while not work.done():
        began = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - began)
    await work
    return longest


async def test_the_loop_goes_on_whatever_is_revoked():
    world = World()
    await world.enroll_app()
    token = (await issued(world)).token
    instance, listed = Instance(world), many(token)
    window = window_of(token.expires_at)

    async def read(number: int, start: int) -> Sequence[ListedToken]:
        await asyncio.sleep(0)
        return listed[start : start + PAGE] if number == window else []

    state = instance.ports.state._replace(statuses=SimpleNamespace(read=read))
    instance.ports = instance.ports._replace(state=state)
    later = world.clock.now() + timedelta(minutes=5)
    revocations = {
        "the first look": [],
        "a token": [Revocation.of_token(listed[5].grounds[0].value, later, later)],
        "a thousand subjects": [
            Revocation.of_subject(Subject("https://idp.example", f"user-{i}").id, later)
            for i in range(1_000)
        ],
        "the client of all": [Revocation.of_client(token.client_id, later)],
    }
    for name, made in revocations.items():
        for revocation in made:
            instance.live.learn(revocation, published=True)
        took = await stalled(asyncio.create_task(instance.lists.publish(instance.ports)))
        assert took < LONGEST_STALL, name
    [published] = [
        each.lists["drawn"] for each in instance.lists._windows.values() if "drawn" in each.lists
    ]
    assert sum(published.statuses[place] for place in range(PLACES)) == TOKENS
