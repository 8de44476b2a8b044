"""RFC 9101 over HTTP: a pushed request object, and what the metadata says of them."""

from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from tests.http.conftest import app_over
from tests.http.flow import BANK, ID_TOKEN, Flow, answer_in
from tests.support.request_objects import JWK, a_request_object, claims_of
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
        pushed_only=False,
        asserts_subject=True,
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
        "Ed25519",
    }


# --- through a browser ------------------------------------------------------------------------

HTML = {"accept": "text/html"}


def query_of(**changes: object) -> dict[str, str]:
    """A signed request for alice as a browser brings it."""
    return {"client_id": "bank", "request": a_request_object(**{"login_hint": "alice"} | changes)}


async def brought(http: httpx2.AsyncClient, query: dict[str, str]) -> httpx2.Response:
    return await http.get("/oauth2/authorize", params=query, headers=HTML)


async def test_rfc9101_5_a_browser_brings_a_request_object_by_value(flow: Flow):
    asking = await brought(flow.http, query_of(acr_values="urn:stepup:acr:2"))
    assert asking.headers["location"].startswith("/c/")

    answered = await flow.type_code(asking.headers["location"], flow.world.code())
    assert answer_in(answered)["state"] == "state-1"


async def test_rfc9101_6_3_attack_what_stands_beside_the_object_in_the_url_is_ignored(flow: Flow):
    beside = {"acr_values": "urn:stepup:acr:1", "redirect_uri": "https://evil.example"}
    asking = await brought(flow.http, query_of(acr_values="urn:stepup:acr:2") | beside)

    answered = await flow.type_code(asking.headers["location"], flow.world.code())
    assert answered.headers["location"].startswith(BANK_CALLBACK)


async def test_rfc9101_6_3_attack_an_object_of_another_client_is_sent_nowhere(flow: Flow):
    flow.world.add_client("shop", redirect_uris=(BANK_CALLBACK,), jwks=(JWK,), pushed_only=False)

    refused = await brought(flow.http, query_of() | {"client_id": "shop"})
    assert refused.status_code == 400
    assert "location" not in refused.headers


async def test_attack_an_object_that_another_browser_brings_again(flow: Flow):
    query = query_of()
    await brought(flow.http, query)
    assert (await brought(flow.http, query)).headers["location"].startswith("/c/")

    async with app_over(flow.world.ports) as another:
        stolen = await brought(another, query)
    assert answer_in(stolen)["error"] == "invalid_request_object"


async def test_rfc9101_10_5_a_client_that_signs_its_requests_is_refused_unsigned_ones(flow: Flow):
    flow.world.snapshot.clients[flow.world.bank.client_id] = msgspec.structs.replace(
        flow.world.bank, signed_requests_only=True
    )
    unsigned = {name: str(value) for name, value in claims_of().items()}

    refused = await brought(flow.http, unsigned)
    assert answer_in(refused)["error"] == "invalid_request"


async def test_rfc9101_5_2_3_a_request_uri_that_is_not_ours_is_not_supported(flow: Flow):
    query = {
        "client_id": "bank",
        "redirect_uri": BANK_CALLBACK,
        "request_uri": "https://bank.example/request.jwt",
    }

    refused = await brought(flow.http, query)
    assert answer_in(refused)["error"] == "request_uri_not_supported"


async def test_rfc6749_3_1_attack_a_repeated_parameter_in_the_url(flow: Flow):
    query = query_of()
    text = f"client_id=bank&request={query['request']}&request={query['request']}"

    refused = await flow.http.get(f"/oauth2/authorize?{text}", headers=HTML)
    assert refused.status_code == 400
    assert "location" not in refused.headers
