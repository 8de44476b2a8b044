"""Requests that a browser brings: who vouches for what, and where refusals go."""

import msgspec
import pytest

from stepup.domain.authorization_errors import LoginRequiredError, RequestUriNotSupportedError
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.checked_request import CheckedRequest, RefusedRequestError
from stepup.domain.client import Client
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    InvalidRequestError,
    InvalidSubjectTokenError,
    InvalidTargetError,
)
from stepup.domain.ids import Subject
from stepup.usecases.demands import authorization_for
from stepup.usecases.requests import check_request, find_client
from tests.support.request_objects import JWK, a_request_object
from tests.support.world import BANK_CALLBACK, IDP, World
from tests.usecases.steps import a_push, ticket

PHR = "phr"


def open_bank(world: World, **changes: object) -> Client:
    """The bank, whose requests may come through a browser."""
    return msgspec.structs.replace(world.bank, pushed_only=False, **changes)


async def brought(world: World, client: Client | None = None, **changes: object) -> CheckedRequest:
    """Check a request that a browser brings."""
    unproved = {"subject_token": None, "subject_token_type": None}
    request = a_push(world, **unproved | changes)
    return await check_request(world.ports, client or open_bank(world), request, pushed=False)


# --- through a browser ------------------------------------------------------------------------


async def test_a_request_through_a_browser_leaves_its_subject_to_a_base_login(world: World):
    checked = await brought(world, acr_values=PHR, login_hint="alice")

    assert checked.subject is None
    assert checked.login_hint == "alice"
    authorization = await authorization_for(world.ports, world.bank, checked, world.subject())
    assert authorization.requirement.acr == PHR


async def test_a_ticket_through_a_browser_says_who_must_sign_in(world: World):
    checked = await brought(world, step_up_ticket=await ticket(world))

    assert checked.expected_subject == world.subject()
    with pytest.raises(RefusedRequestError) as refused:
        await authorization_for(world.ports, world.bank, checked, world.subject("mallory"))
    assert isinstance(refused.value.cause, LoginRequiredError)


async def test_who_signs_in_at_another_issuer_than_the_client_s_is_refused(world: World):
    bank = open_bank(world, subject_issuer=IDP)
    checked = await brought(world, bank, acr_values=PHR)

    stranger = Subject("https://other.example", "alice")
    with pytest.raises(RefusedRequestError) as refused:
        await authorization_for(world.ports, bank, checked, stranger)
    assert isinstance(refused.value.cause, InvalidSubjectTokenError)


async def test_only_a_signed_request_vouches_for_its_subject_through_a_browser(world: World):
    bank = open_bank(world, asserts_subject=True, jwks=(JWK,))
    unsigned = await brought(world, bank, acr_values=PHR, login_hint="alice")
    request = AuthorizationRequest(request=a_request_object(login_hint="alice"))
    signed = await check_request(world.ports, bank, request, pushed=False)

    assert unsigned.subject is None
    assert signed.subject == world.subject()


@pytest.mark.parametrize("everybody", [True, False])
@pytest.mark.parametrize("client_s_own", [None, True, False])
async def test_rfc9126_4_what_must_be_pushed_is_refused_from_a_browser(
    world: World, everybody: bool, client_s_own: bool | None
):
    site = msgspec.structs.replace(world.site, pushed_requests_required=everybody)
    ports = world.ports._replace(site=site)
    bank = msgspec.structs.replace(world.bank, pushed_only=client_s_own)
    request = a_push(world, acr_values=PHR, subject_token=None)
    must_push = everybody if client_s_own is None else client_s_own
    if not must_push:
        assert await check_request(ports, bank, request, pushed=False)
        return

    with pytest.raises(RefusedRequestError) as refused:
        await check_request(ports, bank, request, pushed=False)
    assert isinstance(refused.value.cause, InvalidRequestError)


async def test_a_subject_token_in_a_url_is_refused(world: World):
    with pytest.raises(RefusedRequestError) as refused:
        await brought(world, acr_values=PHR, subject_token=world.subject_token())
    assert isinstance(refused.value.cause, InvalidRequestError)


async def test_rfc9101_5_2_3_a_request_uri_of_somebody_else_s_is_not_fetched(world: World):
    with pytest.raises(RefusedRequestError) as refused:
        await brought(world, request_uri="https://bank.example/request.jwt")
    assert isinstance(refused.value.cause, RequestUriNotSupportedError)


# --- where refusals go ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example"},
        {"redirect_uri": f"{BANK_CALLBACK}@evil.example"},
        {"redirect_uri": f"{BANK_CALLBACK}/../evil"},
        {"redirect_uri": f"{BANK_CALLBACK}?next=https://evil.example"},
        {"redirect_uri": BANK_CALLBACK.replace("https", "http")},
        {"redirect_uri": f" {BANK_CALLBACK}"},
        {"state": "s" * 2049},
        {"response_mode": "fragment"},
    ],
    ids=str,
)
async def test_rfc6749_4_1_2_1_attack_open_redirect(world: World, changes: dict):
    # Everything else is wrong as well: nothing of it may be said to that address.
    wrong = {"response_type": "token", "code_challenge": None, "acr_values": "urn:nobody:knows"}

    with pytest.raises(InvalidRequestError):
        await brought(world, **wrong | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"},
        {"response_type": None},
        {"scope": '"'},
        {"acr_values": "urn:nobody:knows"},
        {"prompt": "none login"},
        {"step_up_ticket": "eyJ.eyJ.sig", "acr_values": None},
        {"authorization_details": "[]"},
    ],
    ids=str,
)
async def test_rfc6749_4_1_2_1_what_is_wrong_with_a_known_target_goes_back_to_the_client(
    world: World, changes: dict
):
    with pytest.raises(RefusedRequestError) as refused:
        await brought(world, **{"acr_values": PHR} | changes)
    assert refused.value.target.redirect_uri == BANK_CALLBACK
    assert refused.value.target.state == "state-1"


async def test_what_is_wrong_for_this_subject_goes_back_to_the_client_too(world: World):
    checked = await brought(world, acr_values=PHR, resource="https://other.example")

    with pytest.raises(RefusedRequestError) as refused:
        await authorization_for(world.ports, world.bank, checked, world.subject())
    assert isinstance(refused.value.cause, InvalidTargetError)


async def test_unknown_is_never_refused(world: World):
    def nobody_knows(*_: object) -> None:
        raise DependencyUnavailableError

    bank = open_bank(world, jwks_uri="https://bank.example/away")
    world.upstreams.key_set = nobody_knows
    request = AuthorizationRequest(request=a_request_object())
    with pytest.raises(DependencyUnavailableError):
        await check_request(world.ports, bank, request, pushed=False)


async def test_a_client_without_the_role_is_told_so_on_a_page(world: World):
    shop = world.add_client("shop", roles=frozenset(), redirect_uris=(BANK_CALLBACK,))

    with pytest.raises(ClientNotAllowedError):
        await brought(world, shop, acr_values=PHR)


@pytest.mark.parametrize("client_id", ["nobody", "", "retired"])
async def test_a_client_that_nobody_knows_is_refused(world: World, client_id: str):
    world.add_client("retired", disabled=True)

    with pytest.raises(InvalidRequestError):
        find_client(world.ports, client_id)
