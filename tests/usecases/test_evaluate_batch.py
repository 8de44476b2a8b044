"""Many decisions in one request: one order, one policy version, one moment."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import tickets
from stepup.domain.batch import MAX_EVALUATIONS, Semantic
from stepup.domain.client import Role
from stepup.domain.decision import Allow, Deny, StepUp
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    InvalidRequestError,
)
from stepup.domain.ids import ActionName
from stepup.ports import Ports
from stepup.usecases import decide
from stepup.usecases.decide import Question, Sitting
from stepup.usecases.evaluate_batch import Answered, Asked, evaluate_batch
from tests.support.world import World
from tests.usecases.steps import a_question, code, redeemed

NO_QUESTION = InvalidRequestError("Object missing required field `resource`.")
SMALL, LARGE = a_question("50.00"), a_question("5000.00")


def unknown() -> decide.Question:
    request = msgspec.structs.replace(SMALL.request, action=ActionName("payments.forget"))
    return msgspec.structs.replace(SMALL, request=request)


async def answers(world: World, *batch: Asked, semantic: Semantic = Semantic.EXECUTE_ALL) -> list:
    answered = await evaluate_batch(world.ports, world.bank, batch, semantic)
    return [kind_of(answer) for answer in answered]


def kind_of(answered: Answered) -> type:
    return type(answered.decision) if isinstance(answered, decide.Answer) else type(answered)


@pytest.mark.parametrize(
    ("semantic", "expected"),
    [
        (Semantic.EXECUTE_ALL, [Allow, InvalidRequestError, StepUp, Allow, Deny]),
        (Semantic.DENY_ON_FIRST_DENY, [Allow, InvalidRequestError]),
        (Semantic.PERMIT_ON_FIRST_PERMIT, [Allow]),
    ],
)
async def test_7_1_2_1_answers_come_in_order_up_to_the_first_that_ends_them(
    world: World, semantic: Semantic, expected: list[type]
):
    batch = (SMALL, NO_QUESTION, LARGE, SMALL, unknown())

    assert await answers(world, *batch, semantic=semantic) == expected


async def test_a_step_up_ends_what_a_denial_ends(world: World):
    first = Semantic.DENY_ON_FIRST_DENY

    assert await answers(world, SMALL, LARGE, SMALL, semantic=first) == [Allow, StepUp]


async def test_nothing_after_the_last_answer_is_evaluated(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []

    async def counted(ports: Ports, sitting: Sitting, question: Question) -> decide.Answer:
        seen.append(question.request.action)
        return await decide.decide_in(ports, sitting, question)

    monkeypatch.setattr("stepup.usecases.evaluate_batch.decide_in", counted)
    await answers(world, unknown(), SMALL, SMALL, semantic=Semantic.DENY_ON_FIRST_DENY)

    assert seen == ["payments.forget"]


async def test_a_subject_of_nobody_s_issuer_fails_alone(world: World):
    stranger = msgspec.structs.replace(SMALL, subject_issuer="https://nobody.example")

    assert await answers(world, stranger, SMALL) == [InvalidRequestError, Allow]


async def test_all_items_are_decided_by_one_policy_version_as_of_one_moment(world: World):
    """An activation in the middle of a batch changes nothing about the rest of it."""
    newer = World(document="apiVersion: stepup/v1\nactions:\n  nothing: {default: deny}\n")

    async def activate() -> None:
        world.snapshot.held_policy = newer.snapshot.policy
        world.clock.advance(timedelta(minutes=1))

    batch = [LARGE] * 40
    swap = asyncio.create_task(activate())
    answered = await evaluate_batch(world.ports, world.bank, batch, Semantic.EXECUTE_ALL)

    assert swap.done()
    assert {kind_of(answer) for answer in answered} == {StepUp}
    key = decide.ticket_key(world.keyring)
    read = [tickets.read_ticket(answer.ticket, key, world.clock.now()) for answer in answered]
    assert len({ticket.issued_at for ticket in read}) == 1
    assert len({ticket.id for ticket in read}) == 40


async def test_a_long_batch_lets_others_in_between(world: World):
    """Two hundred decisions must not keep every other request waiting."""
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(another())
    await evaluate_batch(world.ports, world.bank, [SMALL] * MAX_EVALUATIONS, Semantic.EXECUTE_ALL)
    beside.cancel()

    assert turns >= 10


async def test_a_token_of_one_subject_approves_nothing_of_another_s(world: World):
    await world.enroll_app()
    token = (await redeemed(world, await code(world))).text
    own = a_question(elevated_token=token)
    other = a_question(sub="mallory", elevated_token=token)

    assert await answers(world, other, own, other) == [StepUp, Allow, StepUp]


async def test_too_many_items_are_refused_before_any_is_decided(world: World):
    with pytest.raises(InvalidRequestError, match="at most"):
        await answers(world, *[SMALL] * (MAX_EVALUATIONS + 1))


async def test_a_client_that_enforces_nothing_may_not_ask(world: World):
    shop = world.add_client("shop", roles=frozenset({Role.RP, Role.RS}))

    with pytest.raises(ClientNotAllowedError):
        await evaluate_batch(world.ports, shop, [NO_QUESTION], Semantic.EXECUTE_ALL)


async def test_what_cannot_be_known_fails_the_whole_batch_and_denies_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A store's fault is never a denial, so half an answer is none."""
    await world.enroll_app()
    token = (await redeemed(world, await code(world))).text

    async def away(*_: object) -> bool:
        raise DependencyUnavailableError

    monkeypatch.setattr(world.ports.state.tokens, "is_usable", away)
    with pytest.raises(DependencyUnavailableError):
        await answers(world, SMALL, a_question(elevated_token=token))
