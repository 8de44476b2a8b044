"""Who may touch a challenge: one browser, or one client."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.assurance import Ladder
from stepup.domain.errors import (
    ChallengeNotFoundError,
    ChallengeNotPendingError,
    InvalidRequestError,
    WrongBrowserError,
)
from stepup.domain.ids import ChallengeId, ClientId
from stepup.usecases import finish, holder
from stepup.usecases.holder import ApiClient, Browser
from tests.support.world import World
from tests.usecases.steps import BANK, BROWSER, opened, opened_by_client, pushed


async def test_the_first_browser_gets_the_challenge_and_may_come_again(world: World):
    accepted = await pushed(world)

    first = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    again = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    assert first.id == again.id
    with pytest.raises(WrongBrowserError):
        await holder.claim(world.ports, "bank", accepted.request_uri, Browser("another"))


@pytest.mark.parametrize(
    "request_uri",
    [
        "",
        "https://client.example/request.jwt",
        "urn:ietf:params:oauth:request_uri:",
        "urn:ietf:params:oauth:request_uri:no-dots",
        "urn:ietf:params:oauth:request_uri:r1.unknown.secret",
    ],
)
async def test_a_request_uri_that_is_none_of_ours_is_refused(world: World, request_uri: str):
    with pytest.raises(InvalidRequestError):
        await holder.claim(world.ports, "bank", request_uri, BROWSER)


async def test_a_guessed_secret_is_refused(world: World):
    accepted = await pushed(world)
    guessed = accepted.request_uri.rpartition(".")[0] + ".guess"

    with pytest.raises(InvalidRequestError):
        await holder.claim(world.ports, "bank", guessed, BROWSER)


async def test_another_client_s_request_uri_is_refused(world: World):
    accepted = await pushed(world)

    with pytest.raises(InvalidRequestError):
        await holder.claim(world.ports, "shop", accepted.request_uri, BROWSER)


async def test_attack_no_browser_is_sent_on_by_a_client_that_was_disabled_since(world: World):
    accepted = await pushed(world)
    ended = msgspec.structs.replace(world.bank, disabled=True)
    world.snapshot.clients[world.bank.client_id] = ended

    with pytest.raises(InvalidRequestError):
        await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)


async def test_attack_a_wrong_client_id_does_not_use_up_the_claim(world: World):
    accepted = await pushed(world)
    with pytest.raises(InvalidRequestError):
        await holder.claim(world.ports, "shop", accepted.request_uri, Browser("thief"))

    claimed = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    assert claimed.id == accepted.challenge_id


async def test_a_challenge_is_found_by_the_browser_that_holds_it_alone(world: World):
    challenge_id = await opened(world)

    assert (await holder.find_held(world.ports, challenge_id, BROWSER)).id == challenge_id
    for stranger in (Browser("another"), Browser("")):
        with pytest.raises(WrongBrowserError):
            await holder.find_held(world.ports, challenge_id, stranger)


async def test_a_challenge_that_no_browser_claimed_is_nobody_s(world: World):
    accepted = await pushed(world)

    with pytest.raises(WrongBrowserError):
        await holder.find_held(world.ports, accepted.challenge_id, Browser(""))


async def test_a_client_finds_its_own_challenges_alone(world: World):
    await world.enroll_app()
    challenge_id = await opened_by_client(world)

    assert (await holder.find_held(world.ports, challenge_id, BANK)).id == challenge_id
    with pytest.raises(ChallengeNotFoundError):
        await holder.find_held(world.ports, challenge_id, ApiClient(ClientId("shop")))


async def test_a_browser_s_challenge_is_not_the_client_s_to_answer(world: World):
    with pytest.raises(ChallengeNotFoundError):
        await holder.find_held(world.ports, await opened(world), BANK)


async def test_a_client_s_challenge_is_not_a_browser_s(world: World):
    await world.enroll_app()

    with pytest.raises(WrongBrowserError):
        await holder.find_held(world.ports, await opened_by_client(world), Browser(""))


async def test_an_unknown_challenge_is_not_found(world: World):
    with pytest.raises(ChallengeNotFoundError):
        await holder.find_held(world.ports, ChallengeId("r1.unknown"), BROWSER)


async def test_a_challenge_expired_by_one_second_is_not_found(world: World):
    challenge_id = await opened(world)
    world.clock.advance(timedelta(minutes=10, seconds=-1))
    await holder.find_held(world.ports, challenge_id, BROWSER)

    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(ChallengeNotFoundError):
        await holder.find_held(world.ports, challenge_id, BROWSER)


async def test_a_cancelled_challenge_is_held_but_not_pending(world: World):
    challenge_id = await opened(world)
    await finish.cancel(world.ports, challenge_id, BROWSER)

    await holder.find_held(world.ports, challenge_id, BROWSER)
    with pytest.raises(ChallengeNotPendingError):
        await holder.find_pending(world.ports, challenge_id, BROWSER)


async def test_a_level_that_a_new_policy_dropped_is_answered_by_nothing(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    challenge = await holder.find_held(world.ports, challenge_id, BROWSER)
    policy = world.snapshot.policy
    world.snapshot.held_policy = msgspec.structs.replace(
        policy, ladder=Ladder((policy.ladder.top,)), actions={}, guardrails=()
    )

    assert holder.answerable_methods(world.ports, challenge) == ()
    # Who sits before the page can still leave, and the client is told why.
    left = await finish.cancel(world.ports, challenge_id, BROWSER)
    assert left.parameters["error"] == "unmet_authentication_requirements"


async def test_form_tokens_are_this_browser_s_for_this_challenge(world: World):
    token = holder.form_token(world.ports, ChallengeId("r1.one"), BROWSER)
    holder.check_form_token(world.ports, ChallengeId("r1.one"), BROWSER, token)

    for challenge_id, browser, presented in (
        ("r1.two", BROWSER, token),
        ("r1.one", Browser("another"), token),
        ("r1.one", BROWSER, ""),
        ("r1.one", BROWSER, token + "ü"),
    ):
        with pytest.raises(InvalidRequestError):
            holder.check_form_token(world.ports, ChallengeId(challenge_id), browser, presented)


def test_secrets_stay_out_of_tracebacks():
    assert "the-browser" not in repr(BROWSER)
