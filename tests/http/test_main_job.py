"""The main job over HTTP: decide, push, authorize, answer, redeem, introspect, consume, revoke."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.http.page_errors import PageErrorRenderer
from tests.support.application import CLIENT_SECRET, calling
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER, World

BANK = ("bank", CLIENT_SECRET)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(
        world.ports, readiness=Readiness({}), page_errors=PageErrorRenderer(world.ports)
    )
    async with calling(app) as client:
        yield client


def a_transfer(amount: str = "5000.00", payee: str = "ACME", sub: str = "alice") -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": sub},
        "action": {
            "name": "payments.transfer",
            "properties": {"amount": amount, "payee": payee, "currency": "EUR"},
        },
        "resource": {"type": "account", "id": "1"},
    }


async def pushed(http: httpx2.AsyncClient, world: World, ticket: str, **changes: str) -> Any:
    form = {
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "state": "st-1",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "step_up_ticket": ticket,
        "subject_token": world.subject_token(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }
    return await http.post("/oauth2/par", data=form | changes, auth=BANK)


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


async def test_a_transfer_is_confirmed_with_an_authenticator_app(
    http: httpx2.AsyncClient, world: World
):
    await world.enroll_app()
    decision = await http.post("/access/v1/evaluation", json=a_transfer("500.00"), auth=BANK)
    assert decision.status_code == 200, decision.text
    context = decision.json()["context"]
    assert decision.json()["decision"] is False
    assert context["acr_values"] == "urn:stepup:acr:2"

    par = await pushed(http, world, context["step_up_ticket"])
    assert par.status_code == 201, par.text
    authorized = await http.get(
        "/oauth2/authorize", params={"client_id": "bank", "request_uri": par.json()["request_uri"]}
    )
    assert authorized.status_code == 303, authorized.text
    where = authorized.headers["location"]
    page = await http.get(where)
    assert page.status_code == 200, page.text
    fields = hidden(page.text)

    wrong = await http.post(f"{where}/code", data=fields | {"code": world.wrong_code()})
    assert wrong.status_code == 422, wrong.text
    answered = await http.post(f"{where}/code", data=hidden(wrong.text) | {"code": world.code()})
    assert answered.status_code == 303, answered.text
    back = parse_qs(urlsplit(answered.headers["location"]).query)
    assert back["state"] == ["st-1"]
    assert back["iss"] == [world.site.issuer]

    form = {
        "grant_type": "authorization_code",
        "code": back["code"][0],
        "redirect_uri": BANK_CALLBACK,
        "code_verifier": PKCE_VERIFIER,
    }
    token = await http.post("/oauth2/token", data=form, auth=BANK)
    assert token.status_code == 200, token.text
    access = token.json()["access_token"]

    active = await http.post("/oauth2/introspect", data={"token": access}, auth=BANK)
    assert active.json()["active"] is True, active.text
    assert active.json()["acr"] == "urn:stepup:acr:2"
    first = await http.post("/oauth2/consume", data={"token": access}, auth=BANK)
    assert first.status_code == 200, first.text
    second = await http.post("/oauth2/consume", data={"token": access}, auth=BANK)
    assert second.status_code == 409, second.text
    again = await http.post("/oauth2/token", data=form, auth=BANK)
    assert again.json()["error"] == "invalid_grant"
    revoked = await http.post("/oauth2/revoke", data={"token": access}, auth=BANK)
    assert revoked.status_code == 200


async def test_a_large_transfer_is_confirmed_with_a_passkey(http: httpx2.AsyncClient, world: World):
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    request = a_transfer() | {
        "redirect_uri": BANK_CALLBACK,
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "subject_token": world.subject_token(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }
    begun = await http.post("/v1/step-ups", json=request, auth=BANK)
    assert begun.status_code == 201, begun.text
    authorized = await http.get(begun.json()["authorization_url"])
    where = authorized.headers["location"]
    page = await http.get(where)
    assert page.status_code == 200, page.text
    options = json.loads(
        re.search(r"<script[^>]*data-su-options>(.*?)</script>", page.text, re.DOTALL)[1]
    )
    credential = passkey.answer(options)
    answered = await http.post(
        f"{where}/passkey", data=hidden(page.text) | {"credential": json.dumps(credential)}
    )
    assert answered.status_code == 303, answered.text
    assert answered.headers["location"].startswith(BANK_CALLBACK)
