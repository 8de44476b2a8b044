"""Pushed requests without a subject: kept whole, found by name, and given to one browser."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.assurance import Ladder
from stepup.domain.authorization import Authorization
from stepup.domain.checked_request import CheckedRequest, RefusedRequestError
from stepup.domain.errors import (
    ActionDeniedError,
    InvalidRequestError,
    InvalidTicketError,
    UnmetRequirementError,
)
from stepup.domain.ids import AttemptId, ClientId
from stepup.policy_language import document
from stepup.ports import Ports
from stepup.usecases import authorize, waiting_requests
from stepup.usecases.authorize import REQUEST_URI_PREFIX, Pushed, Waiting
from stepup.usecases.demands import authorization_for
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import a_push, ticket

BANK = ClientId("bank")


@pytest.fixture
def ports(world: World) -> Ports:
    """The world's, where subjects can sign in."""
    return world.ports._replace(site=msgspec.structs.replace(world.site, base_login=True))


async def waiting(world: World, ports: Ports, **changes: object) -> str:
    """Push without a subject; returns the name in the `request_uri`."""
    push = a_push(world, **{"subject_token": None, "acr_values": "phr"} | changes)
    accepted = await authorize.accept(ports, world.bank, push, an_attempt())
    assert isinstance(accepted, Waiting)
    assert accepted.expires_in < 600
    assert accepted.request_uri not in repr(accepted)
    return accepted.request_uri.removeprefix(REQUEST_URI_PREFIX)


async def found(ports: Ports, handle: str) -> CheckedRequest:
    return await waiting_requests.find(ports, BANK, handle)


async def test_a_request_with_its_subject_does_not_wait(world: World, ports: Ports):
    push = a_push(world, acr_values="phr")

    assert isinstance(await authorize.accept(ports, world.bank, push, an_attempt()), Pushed)


async def test_what_was_checked_is_found_as_it_was(world: World, ports: Ports):
    handle = await waiting(world, ports, max_age="0", nonce="n", prompt="login")

    checked = await found(ports, handle)
    assert waiting_requests.is_waiting(handle)
    assert (checked.acr_values, checked.max_age, checked.nonce) == (("phr",), 0, "n")
    assert checked.subject is None


async def test_what_goes_wrong_from_here_on_goes_back_to_the_client(world: World, ports: Ports):
    assert (await found(ports, await waiting(world, ports))).pushed is False


@pytest.mark.parametrize(("seconds", "there"), [(589, True), (590, False)])
async def test_it_waits_for_as_long_as_its_request_uri_lives(
    world: World, ports: Ports, seconds: int, there: bool
):
    handle = await waiting(world, ports)
    world.clock.advance(timedelta(seconds=seconds))
    if there:
        assert await found(ports, handle)
        return

    with pytest.raises(InvalidRequestError):
        await found(ports, handle)


async def test_another_client_does_not_find_it(world: World, ports: Ports):
    handle = await waiting(world, ports)

    with pytest.raises(InvalidRequestError):
        await waiting_requests.find(ports, ClientId("shop"), handle)


async def test_of_twenty_browsers_at_once_one_gets_it(world: World, ports: Ports):
    checked = await found(ports, await waiting(world, ports))

    taken = await asyncio.gather(
        *(
            waiting_requests.take(ports, checked, AttemptId(f"browser-{number}"))
            for number in range(20)
        ),
        return_exceptions=True,
    )
    assert len([each for each in taken if not isinstance(each, InvalidRequestError)]) == 1


async def test_the_browser_that_has_it_comes_to_the_same_challenge_again(
    world: World, ports: Ports
):
    checked = await found(ports, await waiting(world, ports))
    browser = AttemptId("browser-1")

    first = await waiting_requests.take(ports, checked, browser)
    assert await waiting_requests.take(ports, checked, browser) == first


async def test_two_requests_open_two_challenges(world: World, ports: Ports):
    browser = AttemptId("browser-1")
    one = await found(ports, await waiting(world, ports))
    other = await found(ports, await waiting(world, ports))

    first = await waiting_requests.take(ports, one, browser)
    second = await waiting_requests.take(ports, other, browser)
    assert first.challenge_id != second.challenge_id


async def test_attack_one_ticket_waits_twice(world: World, ports: Ports):
    text = await ticket(world)
    await waiting(world, ports, step_up_ticket=text, acr_values=None)

    with pytest.raises(InvalidTicketError):
        await waiting(world, ports, step_up_ticket=text, acr_values=None)


async def test_attack_one_ticket_pushed_again_by_its_own_attempt_waits_once(
    world: World, ports: Ports
):
    push = a_push(world, subject_token=None, step_up_ticket=await ticket(world))
    attempt = an_attempt()

    first = await authorize.accept(ports, world.bank, push, attempt)
    world.clock.advance(timedelta(minutes=1))
    second = await authorize.accept(ports, world.bank, push, attempt)

    assert second.request_uri == first.request_uri
    assert second.expires_in == first.expires_in - 60


async def test_a_ticket_that_expires_while_its_subject_signs_in_still_holds(
    world: World, ports: Ports
):
    handle = await waiting(world, ports, step_up_ticket=await ticket(world), acr_values=None)
    world.clock.advance(timedelta(minutes=5))

    checked = await found(ports, handle)
    assert checked.expected_subject == world.subject()
    assert await waiting_requests.take(ports, checked, an_attempt())


def drop_levels(world: World, *acrs: str) -> None:
    """Put a policy into force whose ladder lacks these levels."""
    policy = world.snapshot.policy
    left = tuple(level for level in policy.ladder.levels if level.acr not in acrs)
    world.snapshot.held_policy = msgspec.structs.replace(policy, ladder=Ladder(left))


async def test_attack_a_level_that_is_gone_by_the_sign_in_does_not_become_the_lowest(
    world: World, ports: Ports
):
    checked = await found(ports, await waiting(world, ports, acr_values="phrh"))
    drop_levels(world, "phrh")

    with pytest.raises(RefusedRequestError) as refused:
        await authorization_for(ports, world.bank, checked, world.subject())
    assert isinstance(refused.value.cause, UnmetRequirementError)


async def test_a_level_that_is_gone_by_the_sign_in_leaves_the_others(world: World, ports: Ports):
    checked = await found(ports, await waiting(world, ports, acr_values="phrh phr"))
    drop_levels(world, "phrh")

    authorization = await authorization_for(ports, world.bank, checked, world.subject())
    assert authorization.requirement.acr == "phr"
    assert authorization.acr_values == ()


TRANSFER = (
    '[{"type": "stepup_action", "action": "payments.transfer",'
    ' "properties": {"amount": "500.00", "payee": "ACME", "currency": "EUR"}}]'
)


async def asked_under(world: World, ports: Ports, default: str) -> Authorization:
    """Let an action wait for its subject, and meanwhile change what the policy says of it."""
    handle = await waiting(world, ports, authorization_details=TRANSFER, acr_values=None)
    checked = await found(ports, handle)
    changed = world.document.replace("default: {level: urn:stepup:acr:2}", f"default: {default}")
    assert changed != world.document
    world.snapshot.held_policy = document.parse(changed, version=2, tests=False)
    return await authorization_for(ports, world.bank, checked, world.subject())


async def test_attack_an_action_that_the_policy_denies_by_the_sign_in_is_denied(
    world: World, ports: Ports
):
    with pytest.raises(RefusedRequestError) as refused:
        await asked_under(world, ports, "deny")
    assert isinstance(refused.value.cause, ActionDeniedError)


async def test_attack_an_action_asks_for_what_the_policy_wants_by_the_sign_in(
    world: World, ports: Ports
):
    authorization = await asked_under(world, ports, "{level: phr}")

    assert authorization.requirement.acr == "phr"
    assert authorization.purpose is not None
    assert authorization.purpose.policy_version == 2
