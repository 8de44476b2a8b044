"""A recovery code is a spend: one gets it, whatever PostgreSQL and Redis do meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import DependencyUnavailableError, VerificationFailedError
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.ports import RecoveryCodeBurned, Stores
from stepup.usecases import answer, look_after
from tests.support.builders import an_attempt
from tests.support.memory_database import MemoryDatabase
from tests.support.world import World
from tests.usecases.steps import (
    BROWSER,
    audited,
    elevated,
    elevating,
    recovery_codes,
    session_of,
    signed_in,
)

USED = AuditKind.RECOVERY_CODE_USED


class FailingDatabase(MemoryDatabase):
    """PostgreSQL that is away, or dies just after a commit whose answer nobody hears."""

    away = False
    dies_after_commit = False

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Stores]:
        if self.away:
            raise DependencyUnavailableError
        async with super().transaction() as stores:
            yield stores
        if self.dies_after_commit:
            self.away = True
            raise DependencyUnavailableError


@pytest.fixture
async def world() -> World:
    world = World()
    world.ports = world.ports._replace(database=FailingDatabase(*_arguments(world)))
    await world.enroll_app()
    return world


@pytest.fixture
async def codes(world: World) -> tuple[str, ...]:
    return await recovery_codes(world)


def _arguments(world: World) -> tuple:
    held = world.ports.database
    return (held._clock,) if hasattr(held, "_clock") else ()


def away(world: World, *, is_away: bool = True) -> None:
    world.ports.database.away = is_away
    world.ports.database.dies_after_commit = False


async def several_challenges(world: World, count: int) -> list[ChallengeId]:
    secret = await signed_in(world)
    return [await elevating(world, secret, "urn:stepup:acr:1") for _ in range(count)]


async def burning(
    world: World, challenge_id: ChallengeId, code: str, attempt: AttemptId | None = None
) -> Challenge:
    return await answer.answer_with_recovery_code(
        world.ports, challenge_id, BROWSER, code, attempt or an_attempt()
    )


def left(world: World) -> int:
    [kept] = [
        a
        for a in world.ports.database.tables.authenticators.values()
        if a.method is Method.RECOVERY_CODE
    ]
    return len(kept.credential.digests)


async def uses(world: World) -> list[object]:
    """Return how many codes were left after each use that is on record."""
    return [e.details.get("left") for e in await audited(world.ports) if e.kind is USED]


async def waiting(world: World) -> list[RecoveryCodeBurned]:
    entries = await world.ports.state.outbox.read(1000)
    return [entry for _, entry in entries if isinstance(entry, RecoveryCodeBurned)]


async def test_while_postgres_is_away_a_code_answers_and_is_burned_afterwards(world, codes):
    [challenge_id] = await several_challenges(world, 1)
    away(world)
    assert (await burning(world, challenge_id, codes[0])).state is ChallengeState.VERIFIED
    assert len(await waiting(world)) == 1
    on_its_way = str(await waiting(world))
    assert all(code not in on_its_way for code in codes)

    away(world, is_away=False)
    assert await uses(world) == [9, 8]
    assert left(world) == 8


@pytest.mark.parametrize("is_away", [False, True], ids=["up", "away"])
async def test_two_users_of_one_code_at_once_get_one_answer(world, codes, is_away):
    challenges = await several_challenges(world, 4)
    away(world, is_away=is_away)
    results = await asyncio.gather(
        *(burning(world, challenge_id, codes[0]) for challenge_id in challenges),
        return_exceptions=True,
    )
    assert sum(isinstance(r, Challenge) for r in results) == 1
    assert sum(isinstance(r, VerificationFailedError) for r in results) == 3

    away(world, is_away=False)
    assert await uses(world) == [9, 8]
    assert left(world) == 8


async def test_two_users_of_one_code_get_one_answer_when_postgres_dies_between_the_two_steps(
    world, codes
):
    first, second = await several_challenges(world, 2)
    world.ports.database.dies_after_commit = True
    assert (await burning(world, first, codes[0])).state is ChallengeState.VERIFIED
    with pytest.raises(VerificationFailedError):
        await burning(world, second, codes[0])

    # It was committed and waits in the outbox, too: in effect it is burned once.
    away(world, is_away=False)
    assert await uses(world) == [9, 8]
    assert left(world) == 8


async def test_the_same_attempt_gets_the_same_answer_whatever_came_between(world, codes):
    [challenge_id] = await several_challenges(world, 1)
    attempt = an_attempt()
    for is_away in (True, True, False):
        away(world, is_away=is_away)
        answered = await burning(world, challenge_id, codes[0], attempt)
        assert answered.state is ChallengeState.VERIFIED
    assert await uses(world) == [9, 8]


async def test_a_challenge_opened_before_a_code_was_used_does_not_take_it_again(world, codes):
    first, second = await several_challenges(world, 2)
    await burning(world, first, codes[0])
    away(world)
    with pytest.raises(VerificationFailedError):
        await burning(world, second, codes[0])
    assert (await burning(world, second, codes[1])).state is ChallengeState.VERIFIED


async def test_a_set_replaced_before_postgres_went_away_answers_nothing(world, codes):
    [challenge_id] = await several_challenges(world, 1)
    new = await recovery_codes(world)
    away(world)
    for code in (codes[0], codes[-1], new[0]):
        with pytest.raises(VerificationFailedError):
            await burning(world, challenge_id, code)


async def test_a_set_removed_before_postgres_went_away_answers_nothing_and_the_next_one_does(
    world, codes
):
    [challenge_id] = await several_challenges(world, 1)
    secret = await signed_in(world)
    await elevated(world, secret, action=look_after.REMOVE)
    [kept] = [
        a.id
        for a in world.ports.database.tables.authenticators.values()
        if a.method is Method.RECOVERY_CODE
    ]
    await look_after.remove(
        world.ports, await session_of(world, secret), kept, consequence_accepted=True
    )
    away(world)
    with pytest.raises(VerificationFailedError):
        await burning(world, challenge_id, codes[0])

    away(world, is_away=False)
    new = await recovery_codes(world)
    [challenge_id] = await several_challenges(world, 1)
    assert (await burning(world, challenge_id, new[0])).state is ChallengeState.VERIFIED


async def test_what_redis_lost_postgres_still_knows(world, codes):
    first, second = await several_challenges(world, 2)
    await burning(world, first, codes[0])
    world.ports.state.recovery_codes._used.clear()
    with pytest.raises(VerificationFailedError):
        await burning(world, second, codes[0])
    assert left(world) == 8


async def test_a_use_that_no_set_has_any_more_is_on_record_as_such(world, codes):
    [challenge_id] = await several_challenges(world, 1)
    away(world)
    await burning(world, challenge_id, codes[0])
    away(world, is_away=False)
    world.ports.database.tables.authenticators.clear()

    [event] = [
        e for e in await audited(world.ports) if e.kind is USED and e.challenge_id == challenge_id
    ]
    assert event.details["unmatched"] is True
