"""Steps of the main job over HTTP, each one call, for tests that change one thing on the way."""

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support.application import CLIENT_SECRET
from tests.support.authenticator import TRUTH, Lie, SoftwareAuthenticator
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER, World

BANK = ("bank", CLIENT_SECRET)
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def a_transfer(amount: str = "500.00", payee: str = "ACME", sub: str = "alice") -> dict[str, Any]:
    """An AuthZEN request of the bank; 500.00 needs a code, 5000.00 a passkey."""
    return {
        "subject": {"type": "user", "id": sub},
        "action": {
            "name": "payments.transfer",
            "properties": {"amount": amount, "payee": payee, "currency": "EUR"},
        },
        "resource": {"type": "account", "id": "1"},
    }


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def passkey_options(page: str) -> dict[str, Any]:
    found = re.search(r"<script[^>]*data-su-options>(.*?)</script>", page, re.DOTALL)
    assert found is not None, page
    return json.loads(found[1])


class Flow:
    """One subject's way through the service, step by step."""

    def __init__(self, http: httpx2.AsyncClient, world: World) -> None:
        self.http = http
        self.world = world

    async def ticket(self, amount: str = "500.00", **request: Any) -> str:
        answer = await self.http.post(
            "/access/v1/evaluation", json=a_transfer(amount) | request, auth=BANK
        )
        assert answer.json()["decision"] is False, answer.text
        return answer.json()["context"]["step_up_ticket"]

    def push_form(self, ticket: str) -> dict[str, str]:
        return {
            "response_type": "code",
            "redirect_uri": BANK_CALLBACK,
            "state": "st-1",
            "code_challenge": PKCE_CHALLENGE,
            "code_challenge_method": "S256",
            "step_up_ticket": ticket,
            "subject_token": self.world.subject_token(),
            "subject_token_type": ID_TOKEN,
        }

    async def push(self, ticket: str, **changes: str) -> httpx2.Response:
        """Push; a changed parameter that is empty is left out."""
        form = {k: v for k, v in (self.push_form(ticket) | changes).items() if v}
        return await self.http.post("/oauth2/par", data=form, auth=BANK)

    async def authorize(self, request_uri: str, client_id: str = "bank") -> httpx2.Response:
        query = {"client_id": client_id, "request_uri": request_uri}
        return await self.http.get("/oauth2/authorize", params=query)

    async def opened(self, amount: str = "500.00") -> str:
        """Go as far as the challenge's page and return its path."""
        pushed = await self.push(await self.ticket(amount))
        assert pushed.status_code == 201, pushed.text
        authorized = await self.authorize(pushed.json()["request_uri"])
        assert authorized.status_code == 303, authorized.text
        return authorized.headers["location"]

    async def type_code(self, where: str, code: str, **changes: str) -> httpx2.Response:
        page = await self.http.get(f"{where}/code")
        form = hidden_fields(page.text) | {"code": code} | changes
        return await self.http.post(f"{where}/code", data=form)

    async def touch(
        self, where: str, passkey: SoftwareAuthenticator, lie: Lie = TRUTH
    ) -> httpx2.Response:
        page = await self.http.get(f"{where}/passkey")
        credential = passkey.answer(passkey_options(page.text), lie)
        form = hidden_fields(page.text) | {"credential": json.dumps(credential)}
        return await self.http.post(f"{where}/passkey", data=form)

    async def code(self) -> str:
        """Go as far as the authorization code, with an authenticator app."""
        answered = await self.type_code(await self.opened(), self.world.code())
        assert answered.status_code == 303, answered.text
        return code_in(answered)

    def token_form(self, code: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BANK_CALLBACK,
            "code_verifier": PKCE_VERIFIER,
        }

    async def redeem(
        self, code: str, headers: dict[str, str] | None = None, **changes: str
    ) -> httpx2.Response:
        """Redeem; a changed parameter that is empty is left out."""
        form = {k: v for k, v in (self.token_form(code) | changes).items() if v}
        return await self.http.post("/oauth2/token", data=form, auth=BANK, headers=headers)

    async def token(self) -> str:
        """Go all the way to the elevated token."""
        redeemed = await self.redeem(await self.code())
        assert redeemed.status_code == 200, redeemed.text
        return redeemed.json()["access_token"]

    async def is_active(self, token: str) -> bool:
        answer = await self.http.post("/oauth2/introspect", data={"token": token}, auth=BANK)
        return answer.json()["active"]

    async def consume(self, token: str, **changes: str) -> httpx2.Response:
        return await self.http.post("/oauth2/consume", data={"token": token} | changes, auth=BANK)


def code_in(response: httpx2.Response) -> str:
    """The code that a redirect brings to the bank."""
    return answer_in(response)["code"]


def answer_in(response: httpx2.Response) -> dict[str, str]:
    """All parameters that a redirect brings to the bank."""
    location = response.headers["location"]
    assert location.startswith(BANK_CALLBACK), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
