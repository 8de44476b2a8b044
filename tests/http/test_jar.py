"""RFC 9101 over HTTP: a pushed request object, and what the metadata says of them."""

from collections.abc import AsyncIterator

import pytest

from tests.http.conftest import app_over
from tests.http.flow import BANK, ID_TOKEN, Flow
from tests.support.request_objects import JWK, a_request_object
from tests.support.world import BANK_CALLBACK, World


@pytest.fixture
async def flow() -> AsyncIterator[Flow]:
    """Steps for alice, whose bank signs its requests with a registered key."""
    world = World()
    world.bank = world.add_client(
        "bank",
        redirect_uris=world.bank.redirect_uris,
        roles=world.bank.roles,
        audiences=world.bank.audiences,
        jwks=(JWK,),
    )
    await world.enroll_app()
    async with app_over(world.ports) as http:
        yield Flow(http, world)


def form_of(flow: Flow, **changes: object) -> dict[str, str]:
    text = a_request_object(
        subject_token=flow.world.subject_token(), subject_token_type=ID_TOKEN, **changes
    )
    return {"client_id": "bank", "request": text}


async def test_rfc9126_3_a_request_object_can_be_pushed(flow: Flow):
    pushed = await flow.http.post("/oauth2/par", data=form_of(flow), auth=BANK)

    assert pushed.status_code == 201, pushed.text
    authorized = await flow.authorize(pushed.json()["request_uri"])
    assert authorized.status_code == 303


@pytest.mark.parametrize(
    "changes",
    [{"aud": "https://other.example"}, {"client_id": "shop"}, {"exp": 1}, {"request": "eyJ.eyJ.x"}],
    ids=["another audience", "another client", "expired", "an object in it"],
)
async def test_rfc9101_6_3_an_object_that_does_not_hold_is_invalid_request_object(
    flow: Flow, changes: dict
):
    refused = await flow.http.post("/oauth2/par", data=form_of(flow, **changes), auth=BANK)

    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_request_object"


async def test_rfc9101_5_2_requests_are_not_fetched(flow: Flow):
    form = {"client_id": "bank", "request_uri": "https://bank.example/request.jwt"}

    refused = await flow.http.post("/oauth2/par", data=form, auth=BANK)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_attack_a_replayed_object(flow: Flow):
    form = form_of(flow)
    await flow.http.post("/oauth2/par", data=form, auth=BANK)

    replayed = await flow.http.post("/oauth2/par", data=form, auth=BANK)
    assert replayed.json()["error"] == "invalid_request_object"


async def test_a_registered_redirect_uri_is_needed_inside_too(flow: Flow):
    form = form_of(flow, redirect_uri="https://evil.example") | {"redirect_uri": BANK_CALLBACK}

    refused = await flow.http.post("/oauth2/par", data=form, auth=BANK)
    assert refused.json()["error"] == "invalid_request"


async def test_rfc9101_9_the_metadata_names_what_is_accepted(flow: Flow):
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is False
    assert set(metadata["request_object_signing_alg_values_supported"]) == {
        "ES256",
        "PS256",
        "RS256",
        "EdDSA",
    }
