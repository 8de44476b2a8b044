"""Challenges that a client answers on screens of its own."""

import msgspec
import pytest

from stepup.domain.client import Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    InvalidRequestError,
    InvalidTicketError,
    StepUpError,
    UnmetRequirementError,
)
from stepup.domain.ids import AttemptId
from stepup.usecases.own_screens import OpenRequest, open_for_client
from tests.support.builders import an_attempt
from tests.support.world import PKCE_CHALLENGE, World
from tests.usecases.steps import opened_by_client, ticket


async def test_a_ticket_opens_a_challenge_without_a_redirect(world: World):
    await world.enroll_app()
    challenge = await world.ports.state.challenges.find(await opened_by_client(world))

    assert challenge.authorization.redirect_uri is None
    assert challenge.authorization.audience == "bank-api"
    assert challenge.methods == ("totp",)


async def test_nothing_to_answer_with_is_said_at_once(world: World):
    with pytest.raises(UnmetRequirementError):
        await opened_by_client(world, "5000.00")


async def test_a_client_that_runs_no_challenges_is_refused(world: World):
    shop = world.add_client("shop", roles=frozenset({Role.PEP}))
    request = OpenRequest(ticket=await ticket(world), subject_token=world.subject_token())

    with pytest.raises(ClientNotAllowedError):
        await open_for_client(world.ports, shop, request, an_attempt())


async def test_a_swapped_subject_is_refused(world: World):
    await world.enroll_app()
    request = OpenRequest(ticket=await ticket(world), subject_token=world.subject_token("mallory"))

    with pytest.raises(StepUpError, match="subject"):
        await open_for_client(world.ports, world.bank, request, an_attempt())


async def test_without_a_subject_token_the_client_must_be_one_that_vouches(world: World):
    await world.enroll_app()
    request = OpenRequest(ticket=await ticket(world))
    with pytest.raises(InvalidRequestError):
        await open_for_client(world.ports, world.bank, request, an_attempt())

    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    opened = await open_for_client(world.ports, trusted, request, an_attempt())
    assert opened.authorization.subject == world.subject()


async def test_a_ticket_is_spent_once(world: World):
    await world.enroll_app()
    request = OpenRequest(ticket=await ticket(world), subject_token=world.subject_token())
    await open_for_client(world.ports, world.bank, request, an_attempt())

    with pytest.raises(InvalidTicketError):
        await open_for_client(world.ports, world.bank, request, an_attempt())


async def test_a_tampered_ticket_is_refused(world: World):
    request = OpenRequest(ticket=await ticket(world) + "x", subject_token=world.subject_token())

    with pytest.raises(InvalidTicketError):
        await open_for_client(world.ports, world.bank, request, an_attempt())


@pytest.mark.parametrize("wrong", ["", "short", PKCE_CHALLENGE + "=", "ü" * 43])
async def test_a_malformed_code_challenge_is_refused_before_it_makes_a_code_useless(
    world: World, wrong: str
):
    await world.enroll_app()
    request = OpenRequest(
        ticket=await ticket(world), subject_token=world.subject_token(), code_challenge=wrong
    )

    with pytest.raises(InvalidRequestError):
        await open_for_client(world.ports, world.bank, request, an_attempt())


async def test_one_ticket_opens_one_challenge_whatever_the_key(world: World):
    await world.enroll_app()
    request = OpenRequest(ticket=await ticket(world), subject_token=world.subject_token())
    attempt = AttemptId("bank key")

    first = await open_for_client(world.ports, world.bank, request, attempt)
    again = await open_for_client(world.ports, world.bank, request, attempt)

    assert again.id == first.id
    other = msgspec.structs.replace(request, code_challenge=PKCE_CHALLENGE)
    with pytest.raises(InvalidTicketError):
        await open_for_client(world.ports, world.bank, other, attempt)
