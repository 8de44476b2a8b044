"""Who revokes, and that one store is enough."""

from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    DependencyUnavailableError,
    OutcomeUnknownError,
    TokenNotConsumableError,
)
from stepup.domain.ids import KeyId, SubjectId
from stepup.domain.revocation import Revocation, Revoked
from stepup.ports import Clock, Outbox, RevocationFeed, RevocationRecorded
from stepup.usecases import consume, introspect, revocation_feed, revoke
from stepup.usecases.drain import drain_once
from tests.support.builders import an_attempt
from tests.support.memory_database import MemoryDatabase
from tests.support.memory_revocations import MemoryRevocationFeed, known_revocations
from tests.support.world import World
from tests.usecases.steps import issued, kinds

SUBJECT = SubjectId("alice")


class SilentDatabase(MemoryDatabase):
    """It does not answer; what was written before is in its tables."""

    @override
    def transaction(self):
        return self._silent()

    @asynccontextmanager
    async def _silent(self):
        raise DependencyUnavailableError
        yield


class SilentRedis(RevocationFeed, Outbox):
    """It may have executed what it was sent; nobody knows."""

    def __getattribute__(self, name: str):
        async def fail(*_args: object) -> None:
            raise OutcomeUnknownError

        return fail


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


@pytest.fixture
async def token(world: World) -> str:
    return (await issued(world)).text


def without_redis(world: World) -> None:
    silent = SilentRedis()
    state = world.ports.state._replace(revocations=silent, outbox=silent)
    world.ports = world.ports._replace(state=state)


def without_postgres(world: World) -> None:
    world.ports = world.ports._replace(database=SilentDatabase(world.clock))


def rows(world: World) -> list[tuple[Revoked, str]]:
    return [(each.what, each.value) for each in world.ports.database.tables.revocations]


async def test_a_revoked_token_is_not_active_and_cannot_be_consumed(world: World, token: str):
    await revoke.revoke(world.ports, world.bank, token)

    assert await introspect.introspect(world.ports, world.bank, token) is None
    with pytest.raises(TokenNotConsumableError):
        await consume.consume(world.ports, world.bank, token, an_attempt(), consume.Expected())
    assert AuditKind.TOKEN_REVOKED in await kinds(world.ports)


async def test_revoking_what_is_no_token_of_the_caller_does_nothing(world: World, token: str):
    shop = world.add_client("shop", audiences=("shop-api",))
    await revoke.revoke(world.ports, shop, token)
    await revoke.revoke(world.ports, world.bank, "garbage")

    assert await introspect.introspect(world.ports, world.bank, token)
    assert AuditKind.TOKEN_REVOKED not in await kinds(world.ports)


async def test_a_revocation_has_a_row_and_a_mark(world: World, token: str):
    await revoke.revoke(world.ports, world.bank, token)
    [(what, value)] = rows(world)

    assert what is Revoked.TOKEN
    assert await world.ports.state.tokens.is_revoked(value)


@pytest.mark.parametrize("what", [Revoked.SUBJECT, Revoked.KEY])
async def test_a_subject_and_a_key_are_revoked_alike(world: World, what: Revoked):
    if what is Revoked.SUBJECT:
        await revoke.revoke_subject(world.ports, SUBJECT)
    else:
        await revoke.revoke_key(world.ports, KeyId("alice"), world.clock.now())

    assert rows(world) == [(what, "alice")]
    found, _ = await world.ports.state.revocations.read_all()
    assert [(each.what, each.value) for each in found] == [(what, "alice")]
    assert [each.what for each in world.ports.revocations.entries()] == [what]


async def test_with_postgres_away_the_row_is_written_later_and_once(world: World):
    database = world.ports.database
    without_postgres(world)
    for _ in range(2):
        await revoke.revoke_subject(world.ports, SUBJECT)
    waiting = [entry for _, entry in await world.ports.state.outbox.read(9)]
    assert [type(entry) for entry in waiting] == [RevocationRecorded] * 2

    world.ports = world.ports._replace(database=database)
    await drain_once(world.ports)

    assert rows(world) == [(Revoked.SUBJECT, "alice")]


async def test_with_redis_away_the_row_is_enough_and_the_mark_comes_later(world: World, token: str):
    state = world.ports.state
    without_redis(world)
    await revoke.revoke(world.ports, world.bank, token)

    world.ports = world.ports._replace(state=state)
    assert await introspect.introspect(world.ports, world.bank, token) is None
    assert AuditKind.TOKEN_REVOKED in [e.kind for e in world.ports.database.tables.events()]
    [(_, value)] = rows(world)
    assert not await state.tokens.is_revoked(value)
    await revocation_feed.publish_late(world.ports, world.ports.revocations)
    assert await state.tokens.is_revoked(value)


async def test_with_both_away_it_fails_loudly(world: World, token: str):
    without_redis(world)
    without_postgres(world)
    with pytest.raises(OutcomeUnknownError):
        await revoke.revoke(world.ports, world.bank, token)
    assert list(world.ports.revocations.entries()) == []


async def test_an_empty_redis_is_given_back_what_postgres_and_memory_know(world: World):
    await revoke.revoke_subject(world.ports, SUBJECT)
    world.ports = world.ports._replace(revocations=known_revocations())
    without_postgres_now = world.ports._replace(database=SilentDatabase(world.clock))
    await revoke.revoke_key(without_postgres_now, KeyId("k"), world.clock.now())

    empty = MemoryRevocationFeed(world.clock)
    state = world.ports.state._replace(revocations=empty)
    assert await revoke.reseed(world.ports._replace(state=state)) == 2

    found, _ = await empty.read_all()
    assert {each.value for each in found} == {"alice", "k"}


class CountingFeed(MemoryRevocationFeed):
    """It knows how many were on their way to it at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.under_way = self.most = 0

    @override
    async def publish(self, revocation: Revocation) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await super().publish(revocation)
        self.under_way -= 1


async def test_many_revocations_come_back_without_crowding_out_who_spends(world: World):
    count = 3 * revoke.RESEEDED_AT_ONCE + 1
    for i in range(count):
        subject = Revocation.of_subject(SubjectId(f"subject-{i}"), world.clock.now())
        world.ports.revocations.learn(subject, published=True)
    empty = CountingFeed(world.clock)
    state = world.ports.state._replace(revocations=empty)

    assert await revoke.reseed(world.ports._replace(state=state)) == count
    assert len((await empty.read_all())[0]) == count
    assert empty.most <= revoke.RESEEDED_AT_ONCE
