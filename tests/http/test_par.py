"""RFC 9126 over HTTP: what a pushed request is answered with, and what becomes of its request_uri."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from stepup.domain.client_authentication import AuthMethod, Profile
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow, answer_in
from tests.support.assertions import JWK as CLIENT_JWK
from tests.support.assertions import assertion
from tests.support.assertions import form_of as asserted
from tests.support.world import BANK_CALLBACK, IDP, PKCE_CHALLENGE, World

HTML = {"accept": "text/html"}
LEVEL = {"step_up_ticket": "", "acr_values": "urn:stepup:acr:2"}
UNPROVED = LEVEL | {"subject_token": "", "subject_token_type": ""}


async def test_rfc9126_2_2_the_answer_is_201_and_is_not_stored(flow: Flow):
    pushed = await flow.push("", **LEVEL)

    assert pushed.status_code == 201
    assert set(pushed.json()) == {"request_uri", "expires_in"}
    assert pushed.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert 0 < pushed.json()["expires_in"] < 600
    assert "no-store" in pushed.headers["cache-control"]


async def test_rfc9126_2_1_a_request_uri_cannot_be_pushed(flow: Flow):
    first = (await flow.push("", **LEVEL)).json()["request_uri"]

    refused = await flow.push("", **LEVEL, request_uri=first)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_rfc9126_2_3_another_method_is_405(flow: Flow, method: str):
    assert (await flow.http.request(method, "/oauth2/par", auth=BANK)).status_code == 405


async def test_rfc9126_2_3_a_request_that_is_too_large_is_413(flow: Flow):
    assert (await flow.push("", **LEVEL, state="s" * 70_000)).status_code == 413


async def test_rfc6749_3_1_a_repeated_parameter_is_refused(flow: Flow):
    body = "response_type=code&response_type=code&acr_values=phr"
    form = {"content-type": "application/x-www-form-urlencoded"}

    refused = await flow.http.post("/oauth2/par", content=body, headers=form, auth=BANK)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "["}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"acr_values": "urn:nobody:knows"}, "unmet_authentication_requirements"),
        (
            {"claims": '{"id_token":{"acr":{"essential":true,"value":"phr"}}}'},
            "unmet_authentication_requirements",
        ),
        ({"id_token_hint": "eyJ.eyJ.sig"}, "invalid_request"),
        ({"authorization_details": '[{"type":"x"}]'}, "invalid_authorization_details"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"scope": '"'}, "invalid_scope"),
        ({"request": "eyJ.eyJ.sig"}, "invalid_request_object"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value}"[:48],
)
async def test_each_refusal_has_its_registered_name(flow: Flow, changes: dict, error: str):
    refused = await flow.push("", **LEVEL | changes)

    assert (refused.status_code, refused.json()["error"]) == (400, error)


async def test_metadata_says_whether_requests_must_be_pushed(flow: Flow):
    metadata = (await flow.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["require_pushed_authorization_requests"] is True
    assert metadata["claims_parameter_supported"] is True

    site = msgspec.structs.replace(flow.world.site, pushed_requests_required=False)
    async with app_over(flow.world.ports._replace(site=site)) as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["require_pushed_authorization_requests"] is False


# --- requests that wait for their subject -----------------------------------------------------


class Visitor(Flow):
    """One browser that is sent to sign in at the upstream, and comes back."""

    async def push_unproved(self, **changes: str) -> str:
        pushed = await self.push("", **UNPROVED | changes)
        assert pushed.status_code == 201, pushed.text
        return pushed.json()["request_uri"]

    async def bring(self, request_uri: str, client_id: str = "bank") -> httpx2.Response:
        query = {"client_id": client_id, "request_uri": request_uri}
        return await self.http.get("/oauth2/authorize", params=query, headers=HTML)

    async def sign_in(self, sent: httpx2.Response, sub: str = "alice") -> httpx2.Response:
        where = sent.headers["location"]
        assert where.startswith(IDP), where
        query = {"state": parse_qs(urlsplit(where).query)["state"][0], "code": sub}
        return await self.http.get("/account/login/callback", params=query, headers=HTML)


def with_base_login() -> World:
    world = World()
    world.site = msgspec.structs.replace(world.site, base_login=True)
    world.ports = world.ports._replace(site=world.site)
    return world


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    world = with_base_login()
    await world.enroll_app()
    async with app_over(world.ports) as http:
        yield Visitor(http, world)


@pytest.fixture
async def another(visitor: Visitor) -> AsyncIterator[Visitor]:
    """Another browser."""
    async with app_over(visitor.world.ports) as http:
        yield Visitor(http, visitor.world)


async def test_a_client_that_knows_no_subject_pushes_and_gets_its_code(visitor: Visitor):
    asking = await visitor.sign_in(await visitor.bring(await visitor.push_unproved()))

    answered = await visitor.type_code(asking.headers["location"], visitor.world.code())
    told = answer_in(answered)
    assert told["state"] == "st-1"
    redeemed = await visitor.redeem(told["code"])
    assert redeemed.status_code == 200, redeemed.text


async def test_a_pushed_request_that_asks_for_nothing_is_refused_before_anybody_signs_in(
    visitor: Visitor,
):
    sent = await visitor.push("", **UNPROVED | {"acr_values": None})
    assert (sent.status_code, sent.json()["error"]) == (400, "invalid_request")


async def test_without_a_base_login_the_client_must_say_who_the_subject_is(flow: Flow):
    refused = await flow.push("", **UNPROVED)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_the_ticket_s_subject_is_the_one_who_must_sign_in(visitor: Visitor):
    uri = await visitor.push_unproved(step_up_ticket=await visitor.ticket(), acr_values="")

    answer = answer_in(await visitor.sign_in(await visitor.bring(uri), "mallory"))
    assert (answer["error"], answer["state"]) == ("login_required", "st-1")
    assert answer["iss"] == visitor.world.site.issuer


async def test_a_ticket_that_waits_is_spent(visitor: Visitor):
    ticket = await visitor.ticket()
    uri = await visitor.push_unproved(step_up_ticket=ticket, acr_values="")
    again = await visitor.push("", **UNPROVED | {"step_up_ticket": ticket, "acr_values": ""})
    assert again.status_code == 400

    asking = await visitor.sign_in(await visitor.bring(uri))
    assert asking.headers["location"].startswith("/c/")


async def test_prompt_none_without_a_known_subject_is_login_required(visitor: Visitor):
    refused = await visitor.bring(await visitor.push_unproved(prompt="none"))

    assert answer_in(refused)["error"] == "login_required"


async def test_fapi_note_3_a_request_uri_may_come_again_before_it_is_completed(visitor: Visitor):
    uri = await visitor.push_unproved()
    await visitor.bring(uri)
    asking = await visitor.sign_in(await visitor.bring(uri))

    assert (await visitor.bring(uri)).headers["location"] == asking.headers["location"]


async def test_rfc9126_4_attack_a_request_uri_in_another_browser(
    visitor: Visitor, another: Visitor
):
    uri = await visitor.push_unproved()
    await visitor.sign_in(await visitor.bring(uri))

    stolen = await another.sign_in(await another.bring(uri))
    assert answer_in(stolen)["error"] == "invalid_request"


async def test_rfc9126_2_2_attack_a_request_uri_of_another_client(visitor: Visitor):
    visitor.world.add_client("shop", redirect_uris=(BANK_CALLBACK,))
    uri = await visitor.push_unproved()

    refused = await visitor.bring(uri, "shop")
    assert refused.status_code == 400
    assert "location" not in refused.headers


async def test_a_request_uri_that_waits_expires(visitor: Visitor):
    uri = await visitor.push_unproved()
    visitor.world.clock.advance(timedelta(seconds=590))

    refused = await visitor.bring(uri)
    assert refused.status_code == 400
    assert "location" not in refused.headers


async def test_attack_a_guessed_request_uri(visitor: Visitor):
    refused = await visitor.bring("urn:ietf:params:oauth:request_uri:r1.guess")

    assert refused.status_code == 400
    assert "location" not in refused.headers


async def test_parameters_beside_a_request_uri_are_ignored(visitor: Visitor):
    query = {
        "client_id": "bank",
        "request_uri": await visitor.push_unproved(),
        "redirect_uri": "https://evil.example",
        "acr_values": "urn:stepup:acr:1",
        "state": "evil",
    }
    sent = await visitor.http.get("/oauth2/authorize", params=query, headers=HTML)
    asking = await visitor.sign_in(sent)

    answered = await visitor.type_code(asking.headers["location"], visitor.world.code())
    assert answer_in(answered)["state"] == "st-1"


# --- FAPI 2.0 ---------------------------------------------------------------------------------


async def test_fapi2_5_3_2_2_a_client_of_the_profile_must_push(visitor: Visitor):
    visitor.world.snapshot.clients[visitor.world.bank.client_id] = msgspec.structs.replace(
        visitor.world.bank, profile=Profile.FAPI2, pushed_only=False
    )
    query = {
        "client_id": "bank",
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "acr_values": "phr",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
    }

    refused = await visitor.http.get("/oauth2/authorize", params=query, headers=HTML)
    assert answer_in(refused)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 201),
        ({"nonce": "n" * 64}, 201),
        ({"redirect_uri": ""}, 400),
        ({"code_challenge": ""}, 400),
        ({"code_challenge_method": "plain"}, 400),
    ],
    ids=["as it should be", "a nonce of 64", "no redirect URI", "no PKCE", "plain"],
)
async def test_fapi2_5_3_2_2_what_a_pushed_request_must_say(
    visitor: Visitor, changes: dict[str, str], status: int
):
    visitor.world.add_client(
        "shop",
        roles=visitor.world.bank.roles,
        redirect_uris=(BANK_CALLBACK,),
        audiences=("bank-api",),
        secret_digests=(),
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        jwks=(CLIENT_JWK,),
        profile=Profile.FAPI2,
        dpop_bound=True,
    )
    form = visitor.push_form("") | LEVEL | asserted(assertion("shop")) | changes
    kept = {name: value for name, value in form.items() if value}

    pushed = await visitor.http.post("/oauth2/par", data=kept)
    assert pushed.status_code == status, pushed.text
