"""Requests in signed objects: only what is inside counts, and each named object counts once."""

import asyncio

import msgspec
import pytest

from stepup.domain.authorization import Authorization
from stepup.domain.authorization_errors import InvalidRequestObjectError
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.client import Client
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AttemptId
from stepup.usecases import authorize
from tests.support.builders import an_attempt
from tests.support.request_objects import JWK, a_request_object
from tests.support.world import World
from tests.usecases.steps import ID_TOKEN, a_push


@pytest.fixture
def bank(world: World) -> Client:
    return msgspec.structs.replace(world.bank, jwks=(JWK,))


def signed(world: World, **changes: object) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id="bank",
        request=a_request_object(
            subject_token=world.subject_token(), subject_token_type=ID_TOKEN, **changes
        ),
    )


async def pushed(world: World, client: Client, request: AuthorizationRequest) -> Authorization:
    accepted = await authorize.push(world.ports, client, request, an_attempt())
    challenge = await world.ports.state.challenges.find(accepted.challenge_id)
    assert challenge is not None
    return challenge.authorization


async def test_rfc9101_a_signed_request_is_accepted_by_value(world: World, bank: Client):
    authorization = await pushed(world, bank, signed(world))

    assert authorization.requirement.acr == "phr"
    assert authorization.state == "state-1"


async def test_rfc9101_6_3_attack_parameters_beside_the_object_are_ignored(
    world: World, bank: Client
):
    beside = msgspec.structs.replace(
        signed(world),
        acr_values="urn:stepup:acr:1",
        state="evil",
        redirect_uri="https://evil.example",
    )

    authorization = await pushed(world, bank, beside)
    assert authorization.requirement.acr == "phr"
    assert authorization.state == "state-1"
    assert authorization.redirect_uri != "https://evil.example"


async def test_attack_a_parameter_that_the_object_lacks_does_not_come_from_beside_it(
    world: World, bank: Client
):
    unchallenged = signed(world, code_challenge=None)
    beside = msgspec.structs.replace(unchallenged, code_challenge="A" * 43)

    with pytest.raises(InvalidRequestError):
        await pushed(world, bank, beside)


async def test_attack_a_request_object_of_another_client(world: World, bank: Client):
    shop = world.add_client("shop", jwks=(JWK,), redirect_uris=bank.redirect_uris)

    with pytest.raises(InvalidRequestObjectError):
        await pushed(world, shop, signed(world))


async def test_attack_a_request_object_swapped_into_another_request(world: World, bank: Client):
    first = signed(world, state="first")
    await pushed(world, bank, first)

    with pytest.raises(InvalidRequestObjectError):
        await pushed(world, bank, msgspec.structs.replace(first, state="second"))


async def test_of_twenty_that_send_one_object_at_once_one_is_accepted(world: World, bank: Client):
    request = signed(world)

    sent = await asyncio.gather(
        *(pushed(world, bank, request) for _ in range(20)), return_exceptions=True
    )
    assert len([each for each in sent if isinstance(each, Authorization)]) == 1


async def test_the_same_attempt_may_send_its_object_again(world: World, bank: Client):
    request, attempt = signed(world), AttemptId("attempt-1")
    await authorize.push(world.ports, bank, request, attempt)

    assert await authorize.push(world.ports, bank, request, attempt)


async def test_an_object_without_a_name_may_come_again_until_it_expires(world: World, bank: Client):
    nameless = signed(world, jti=None)
    await pushed(world, bank, nameless)

    assert await pushed(world, bank, nameless)


async def test_a_refused_request_leaves_its_object_unused(world: World, bank: Client):
    with pytest.raises(InvalidRequestError):
        await pushed(world, bank, signed(world, max_age="soon"))

    assert await pushed(world, bank, signed(world))


async def test_a_client_without_keys_signs_nothing(world: World):
    with pytest.raises(InvalidRequestObjectError):
        await pushed(world, world.bank, signed(world))


async def test_rfc9101_10_5_a_client_that_signs_its_requests_sends_no_others(
    world: World, bank: Client
):
    strict = msgspec.structs.replace(bank, signed_requests_only=True)
    with pytest.raises(InvalidRequestError):
        await pushed(world, strict, a_push(world, acr_values="phr"))

    assert await pushed(world, strict, signed(world))


async def test_rfc9101_5_an_object_and_a_request_uri_exclude_each_other(world: World, bank: Client):
    both = msgspec.structs.replace(signed(world), request_uri="https://bank.example/request")

    with pytest.raises(InvalidRequestError):
        await pushed(world, bank, both)


async def test_keys_at_a_url_verify_too(world: World):
    url = "https://bank.example/jwks"
    world.upstreams.key_sets[url] = [JWK]
    remote = msgspec.structs.replace(world.bank, jwks_uri=url)

    assert await pushed(world, remote, signed(world))
