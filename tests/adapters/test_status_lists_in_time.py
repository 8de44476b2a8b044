"""Status lists on real engines: every instance says what was revoked at any, within the bound."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest

from stepup.adapters.system import SystemEntropy, monotonic
from stepup.crypto import digests
from stepup.crypto.status_list import PackedStatuses
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.revocation import Revoked
from stepup.domain.status import Status
from stepup.domain.token import ElevatedToken
from stepup.ports import Ports
from stepup.usecases import revoke, status_lists
from stepup.usecases.listing import with_place
from stepup.usecases.status_lists import LiveStatusLists
from tests.adapters import test_revocation_in_time as in_time
from tests.adapters.test_revocation_in_time import Engines, Instance, R, a_name, end
from tests.support.application import HeldSnapshot, a_keyring
from tests.support.introspector import KEY, a_token
from tests.support.stopping import killed

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

KEYRING = a_keyring()
engines, pair = in_time.engines, in_time.pair


class Publisher:
    """An instance that publishes lists."""

    def __init__(self, ports: Ports, lists: LiveStatusLists) -> None:
        self.ports = ports
        self._lists = lists

    async def status(self, token: ElevatedToken) -> int:
        """Read what its list says of a token; -1 while it gives out none."""
        name = token.status.uri.rsplit("/", 1)[1]
        try:
            published = await self._lists.find(self.ports, name)
        except DependencyUnavailableError:
            return -1
        claims = msgspec.json.decode(digests.decode(published.body.decode().split(".")[1]))
        listed = claims["status_list"]
        return PackedStatuses.read(listed["bits"], listed["lst"])[token.status.index]

    async def seconds_until(self, token: ElevatedToken, status: int) -> float:
        began = time.monotonic()
        while await self.status(token) != status:
            assert time.monotonic() - began < R + 5, "it is never said"
            await asyncio.sleep(0.01)
        return time.monotonic() - began


@asynccontextmanager
async def publishing(instance: Instance) -> AsyncIterator[Publisher]:
    ports, live = instance
    snapshot = HeldSnapshot(ports.snapshot.policy, KEYRING)
    ports = ports._replace(snapshot=snapshot, entropy=SystemEntropy())
    lists = LiveStatusLists(live, monotonic)
    following = asyncio.create_task(status_lists.follow(ports, lists))
    try:
        yield Publisher(ports, lists)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
async def publishers(pair: tuple[Instance, Instance]) -> AsyncIterator[list[Publisher]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(publishing(instance)) for instance in pair]


async def placed(ports: Ports, subject: str = "alice") -> ElevatedToken:
    return await with_place(ports, a_token(a_name(), subject), KEY)


async def test_revoked_at_one_and_listed_at_both_within_the_bound(publishers: list[Publisher]):
    one = publishers[0]
    # A key ends whatever comes after it here, too.
    for what in sorted(Revoked, key=lambda kind: kind is Revoked.KEY):
        token = await placed(one.ports, a_name())
        for each in publishers:
            assert await each.status(token) == Status.VALID
        await end(one.ports, token, what)
        took = await asyncio.gather(*(each.seconds_until(token, 1) for each in publishers))
        assert max(took) < R, what


async def test_tokens_given_while_their_subject_is_being_revoked_are_all_listed(publishers):
    """Neither those that were given before it was heard, nor those after, stay valid."""
    subject = a_name()
    tokens = [a_token(a_name(), subject) for _ in range(60)]

    async def give(i: int) -> ElevatedToken:
        await asyncio.sleep(i * 0.002)
        return await with_place(publishers[i % 2].ports, tokens[i], KEY)

    async def end_it() -> None:
        await asyncio.sleep(0.06)
        await revoke.revoke_subject(publishers[0].ports, tokens[0].subject.id)

    *given, _ = await asyncio.gather(*(give(i) for i in range(60)), end_it())
    assert len({each.status for each in given}) == 60
    for each in publishers:
        took = await asyncio.gather(*(each.seconds_until(token, 1) for token in given))
        assert max(took) < R


async def test_a_redis_that_was_emptied_gives_no_place_twice(publishers, engines: Engines):
    one, other = publishers
    before = [await placed(one.ports, a_name()) for _ in range(20)]
    assert await other.status(before[0]) == Status.VALID
    killed(engines.redis)
    engines.start_redis(empty=True)
    after = await given_again(one.ports)
    assert after.status.uri not in {each.status.uri for each in before}
    # Whoever knew the old list still says what becomes of it.
    await in_time.until_active(one.ports, after)
    await end(one.ports, before[0], Revoked.TOKEN)
    await end(one.ports, after, Revoked.TOKEN)
    for each in publishers:
        await each.seconds_until(before[0], Status.INVALID)
        await each.seconds_until(after, Status.INVALID)
        assert await each.status(before[1]) == Status.VALID


async def test_while_redis_is_away_no_list_is_given_out_for_long(publishers, engines: Engines):
    one, other = publishers
    token = await placed(one.ports)
    assert await other.status(token) == Status.VALID
    killed(engines.redis)
    assert await other.seconds_until(token, -1) < R + 1
    engines.start_redis()
    await other.seconds_until(token, Status.VALID)


async def given_again(ports: Ports) -> ElevatedToken:
    began = time.monotonic()
    while True:
        try:
            return await placed(ports, a_name())
        except DependencyUnavailableError:
            assert time.monotonic() - began < 10
            await asyncio.sleep(0.1)
