"""When the state has lost everything: nothing that was used is used again, and it is on record."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.challenge import ChallengeState
from stepup.domain.errors import CodeTooEarlyError, InvalidTicketError, VerificationFailedError
from stepup.usecases import answer, own_screens
from stepup.usecases.losses import follow_losses, make_good
from tests.support.builders import an_attempt
from tests.support.memory import memory_state
from tests.support.world import World
from tests.usecases.steps import BROWSER, audited, fresh_code, kinds, opened, ticket

STEP = timedelta(seconds=30)


async def lose_all(world: World, *, keep_floor: bool = True) -> None:
    """Replace the state by an empty one, as a server that was restarted without its file."""
    empty = memory_state(world.clock)
    world.ports = world.ports._replace(state=empty._replace(outbox=world.ports.state.outbox))
    if keep_floor:
        await empty.generations.lose()


async def answer_again(world: World, code: str) -> ChallengeState:
    """Bring a code to a challenge that was opened after the loss."""
    challenge_id = await opened(world)
    answered = await answer.answer_with_code(world.ports, challenge_id, BROWSER, code, an_attempt())
    return answered.state


async def test_a_used_code_is_refused_after_everything_was_lost(world: World):
    await world.enroll_app()
    code = fresh_code(world)
    assert await answer_again(world, code) is ChallengeState.VERIFIED
    await lose_all(world)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(VerificationFailedError):
        await answer_again(world, code)


async def test_without_floor_and_second_home_the_replay_succeeds(world: World):
    """The control arm: otherwise the test above would show nothing."""
    await world.enroll_app()
    code = fresh_code(world)
    assert await answer_again(world, code) is ChallengeState.VERIFIED
    await lose_all(world, keep_floor=False)
    assert await answer_again(world, code) is ChallengeState.VERIFIED


async def test_postgresql_remembers_the_step_when_even_the_floor_is_lost(world: World):
    await world.enroll_app()
    code = fresh_code(world)
    assert await answer_again(world, code) is ChallengeState.VERIFIED
    await audited(world.ports)
    await lose_all(world, keep_floor=False)
    with pytest.raises(VerificationFailedError):
        await answer_again(world, code)


async def test_the_wait_after_a_loss_ends_within_two_steps_and_the_skew(world: World):
    await world.enroll_app()
    await lose_all(world)
    for _ in range(2):
        world.clock.advance(timedelta(seconds=1))
        with pytest.raises(VerificationFailedError):
            await answer_again(world, world.code())
        world.clock.advance(STEP)
    assert await answer_again(world, world.code()) is ChallengeState.VERIFIED


@pytest.mark.parametrize("seconds", [1, 29, 31, 59])
async def test_whoever_brings_a_right_code_too_early_is_told_how_long_to_wait(
    world: World, seconds: int
):
    await world.enroll_app()
    await lose_all(world)
    world.clock.advance(timedelta(seconds=seconds))
    with pytest.raises(CodeTooEarlyError) as caught:
        await answer_again(world, world.code())
    assert timedelta() < caught.value.retry_after <= 2 * STEP + timedelta(seconds=2)
    world.clock.advance(caught.value.retry_after)
    assert await answer_again(world, world.code()) is ChallengeState.VERIFIED


async def test_the_code_before_the_one_that_counts_has_a_wait_too(world: World):
    await world.enroll_app()
    await lose_all(world)
    world.clock.advance(2 * STEP + timedelta(seconds=5))
    with pytest.raises(CodeTooEarlyError) as caught:
        await answer_again(world, world.code(-STEP))
    assert caught.value.retry_after == timedelta(seconds=1)


async def test_a_wrong_code_is_wrong_after_a_loss_too(world: World):
    await world.enroll_app()
    await lose_all(world)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(VerificationFailedError) as caught:
        await answer_again(world, world.wrong_code())
    assert not isinstance(caught.value, CodeTooEarlyError)


async def test_a_ticket_from_before_the_loss_is_refused(world: World):
    await world.enroll_app()
    text = await ticket(world)
    await lose_all(world)
    request = own_screens.OpenRequest(ticket=text, subject_token=world.subject_token())
    with pytest.raises(InvalidTicketError):
        await own_screens.open_for_client(world.ports, world.bank, request, an_attempt())


async def test_a_loss_is_on_record_once_however_many_instances_saw_it(world: World):
    begun = await world.ports.state.generations.lose()
    await asyncio.gather(*(make_good(world.ports, begun) for _ in range(3)))
    events = [e for e in await audited(world.ports) if e.kind is AuditKind.STATE_LOST]
    assert [event.details for event in events] == [{"generation": begun.id}]


async def test_a_loss_that_is_noticed_is_made_good(world: World):
    following = asyncio.create_task(follow_losses(world.ports))
    for _ in range(2):
        await world.ports.state.generations.lose()
    for _ in range(100):
        if (await world.ports.state.outbox.backlog()).entries == 2:
            break
        await asyncio.sleep(0)
    following.cancel()
    assert (await kinds(world.ports)).count(AuditKind.STATE_LOST) == 2
