"""A browser arrives with its challenge: answered by what it proved, shown a page, or refused."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.assurance import Acr
from stepup.domain.audit import AuditKind
from stepup.domain.authorization import Authorization
from stepup.domain.authorization_answer import Answer
from stepup.domain.authorization_errors import ConsentRequiredError, InteractionRequiredError
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.checked_request import RefusedRequestError
from stepup.domain.errors import (
    ChallengeNotPendingError,
    InvalidGrantError,
    UnmetRequirementError,
    WrongBrowserError,
)
from stepup.domain.requirement import Requirement
from stepup.usecases import arrive, authorize, finish, holder, opening, sessions
from stepup.usecases.answer import answer_with_code
from stepup.usecases.arrive import Shows, Visitor
from stepup.usecases.holder import Browser
from tests.support.builders import a_purpose, an_attempt, an_authorization
from tests.support.world import World
from tests.usecases.steps import BROWSER, fresh_code, kinds, last_audited, redeemed

LEVEL = Requirement(acr=Acr("urn:stepup:acr:2"), max_age=timedelta(minutes=15))


def a_request(world: World, **changes: object) -> Authorization:
    fields: dict = {"requirement": LEVEL, "purpose": None, "subject": world.subject()}
    return an_authorization(**fields | changes)


async def brought(
    world: World, authorization: Authorization, browser: Browser = BROWSER
) -> Challenge:
    pushed = await authorize.open_for_browser(
        world.ports, authorization, opening.drawn(world.ports)
    )
    client_id = authorization.client_id
    return await holder.claim(world.ports, client_id, pushed.request_uri, browser)


@pytest.fixture
async def alice(world: World) -> Visitor:
    """A browser in which Alice has just passed a ceremony."""
    await world.enroll_app()
    challenge = await brought(world, a_request(world))
    code = fresh_code(world)
    passed = await answer_with_code(world.ports, challenge.id, BROWSER, code, an_attempt())
    return Visitor(BROWSER, await sessions.keep(world.ports, None, passed))


async def test_rfc9470_6_1_the_token_has_the_moment_of_the_ceremony_that_proved_it(
    world: World, alice: Visitor
):
    proved_at = world.clock.now()
    world.clock.advance(timedelta(minutes=5))
    challenge = await brought(world, a_request(world))

    outcome = await arrive.arrive(world.ports, alice, challenge)

    assert isinstance(outcome, Answer)
    held = await holder.find_held(world.ports, challenge.id, BROWSER)
    assert held.state is ChallengeState.VERIFIED
    assert held.verified_at == proved_at
    event = await last_audited(world.ports, AuditKind.CHALLENGE_VERIFIED)
    assert event.challenge_id == challenge.id
    assert event.details["method"] == "session"


async def answered_after(world: World, alice: Visitor, age: timedelta, **changes: object) -> str:
    """Bring a request that what Alice proved this long ago answers; returns its code."""
    world.clock.advance(age)
    challenge = await brought(world, a_request(world, **changes))
    outcome = await arrive.arrive(world.ports, alice, challenge)
    assert isinstance(outcome, Answer)
    return outcome.parameters["code"]


@pytest.mark.parametrize(
    ("age", "changes", "left"),
    [(60, {}, 120), (870, {}, 30), (870, {"max_age": 890}, 20), (50, {"max_age": 60}, 10)],
)
async def test_attack_a_token_does_not_outlive_what_was_proved_before_it(
    world: World, alice: Visitor, age: int, changes: dict, left: int
):
    authorization_code = await answered_after(world, alice, timedelta(seconds=age), **changes)

    token = (await redeemed(world, authorization_code)).token
    assert token.expires_at == world.clock.now() + timedelta(seconds=left)


async def test_a_code_of_what_is_too_old_when_it_is_redeemed_gives_nothing(
    world: World, alice: Visitor
):
    authorization_code = await answered_after(world, alice, timedelta(minutes=14, seconds=50))
    world.clock.advance(timedelta(seconds=10))

    with pytest.raises(InvalidGrantError):
        await redeemed(world, authorization_code)


async def test_twenty_tabs_at_once_get_one_code(world: World, alice: Visitor):
    challenge = await brought(world, a_request(world))
    outcomes = await asyncio.gather(
        *(arrive.arrive(world.ports, alice, challenge) for _ in range(20))
    )
    codes = {o.parameters["code"] for o in outcomes if isinstance(o, Answer)}
    assert len(codes) == 1
    assert (await kinds(world.ports)).count(AuditKind.CHALLENGE_VERIFIED) == 2


async def test_attack_another_browser_s_session_answers_no_challenge_of_this_one(
    world: World, alice: Visitor
):
    thief = Browser("the-thief")
    challenge = await brought(world, a_request(world))
    with pytest.raises(WrongBrowserError):
        await arrive.arrive(world.ports, Visitor(thief, alice.session), challenge)


DISPLAYED = a_purpose(bound={}, displayed={"project": "Apollo"})


async def test_what_is_displayed_and_not_bound_is_agreed_to(world: World, alice: Visitor):
    challenge = await brought(world, a_request(world, purpose=DISPLAYED))
    assert await arrive.arrive(world.ports, alice, challenge) is Shows.CONSENT
    assert await arrive.may_agree(world.ports, alice, challenge.id)

    agreed = await arrive.agree(world.ports, alice, challenge.id)

    assert isinstance(agreed, Answer)
    assert "code" in agreed.parameters
    with pytest.raises(ChallengeNotPendingError):
        await arrive.agree(world.ports, alice, challenge.id)


async def test_oidc_core_3_1_2_6_prompt_none_where_something_is_displayed_is_consent_required(
    world: World, alice: Visitor
):
    silent = a_request(world, purpose=DISPLAYED, prompt=frozenset({"none"}))
    challenge = await brought(world, silent)
    with pytest.raises(RefusedRequestError) as refused:
        await arrive.arrive(world.ports, alice, challenge)
    assert isinstance(refused.value.cause, ConsentRequiredError)
    assert refused.value.target.state == silent.state


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"requirement": Requirement(acr=Acr("phr"))}, UnmetRequirementError),
        ({"max_age": 0}, InteractionRequiredError),
        ({"requirement": Requirement(acr=LEVEL.acr, once=True)}, InteractionRequiredError),
    ],
    ids=["nothing reaches it", "due now", "once-only"],
)
async def test_prompt_none_ends_the_request_with_what_is_missing(
    world: World, alice: Visitor, changes: dict, cause: type[Exception]
):
    challenge = await brought(world, a_request(world, prompt=frozenset({"none"}), **changes))
    with pytest.raises(RefusedRequestError) as refused:
        await arrive.arrive(world.ports, alice, challenge)
    assert isinstance(refused.value.cause, cause)
    held = await holder.find_held(world.ports, challenge.id, BROWSER)
    assert held.state is ChallengeState.DENIED


async def test_attack_nobody_agrees_to_what_needs_a_ceremony_of_its_own(
    world: World, alice: Visitor
):
    bound = Requirement(acr=LEVEL.acr, bind=frozenset({"payee"}))
    challenge = await brought(world, a_request(world, requirement=bound, purpose=a_purpose()))
    assert await arrive.arrive(world.ports, alice, challenge) is Shows.CHALLENGE
    assert not await arrive.may_agree(world.ports, alice, challenge.id)
    assert await arrive.agree(world.ports, alice, challenge.id) is Shows.CHALLENGE
    held = await holder.find_held(world.ports, challenge.id, BROWSER)
    assert held.state is ChallengeState.PENDING


async def test_a_challenge_that_has_ended_is_told_on_its_page(world: World, alice: Visitor):
    challenge = await brought(world, a_request(world))
    await finish.cancel(world.ports, challenge.id, BROWSER)
    held = await holder.find_held(world.ports, challenge.id, BROWSER)
    assert await arrive.arrive(world.ports, alice, held) is Shows.CHALLENGE
