"""A browser at the account pages: signs in, steps up, and posts what the pages' forms hold."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.http.flow import hidden_fields, passkey_options
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.world import World

ISSUER = "https://stepup.example"
HTML = {"accept": "text/html"}


class AccountVisit:
    """One subject's browser."""

    def __init__(self, http: httpx2.AsyncClient, world: World) -> None:
        self.http = http
        self.world = world

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(path.removeprefix(ISSUER), headers=HTML | headers)

    async def post(self, path: str, **form: str) -> httpx2.Response:
        return await self.http.post(path.removeprefix(ISSUER), data=form, headers=HTML)

    async def submit(self, page: str, action: str | None = None, **form: str) -> httpx2.Response:
        """Open a page and post its form, to itself unless another action is named."""
        shown = await self.get(page)
        assert shown.status_code == 200, shown.headers.get("location")
        return await self.post(action or page, **hidden_fields(shown.text) | form)

    async def sign_in(self, sub: str = "alice", return_to: str = "/account") -> httpx2.Response:
        """Go to the upstream and come back; returns the last redirect."""
        begun = await self.http.get("/account/login", params={"return_to": return_to})
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        return await self.http.get("/account/login/callback", params={"state": state, "code": sub})

    async def step_up(
        self, asked: httpx2.Response, passkey: SoftwareAuthenticator | None = None
    ) -> httpx2.Response:
        """Follow a page that asked for a step-up through the challenge and back."""
        answered = await self.answer(await self.challenge(asked), passkey)
        assert answered.status_code == 303, answered.text
        back = await self.get(answered.headers["location"])
        assert back.status_code == 303, back.text
        return back

    async def challenge(self, asked: httpx2.Response) -> str:
        """Follow a page that asked for a step-up to its challenge; returns the path."""
        assert asked.status_code == 303, asked.text
        authorized = await self.get(asked.headers["location"])
        assert authorized.status_code == 303, authorized.text
        return authorized.headers["location"]

    async def answer(
        self, where: str, passkey: SoftwareAuthenticator | None = None
    ) -> httpx2.Response:
        if passkey is None:
            self.world.clock.advance(timedelta(seconds=30))
            return await self.submit(f"{where}/code", code=self.world.code())
        page = (await self.get(f"{where}/passkey")).text
        credential = json.dumps(passkey.answer(passkey_options(page)))
        return await self.post(
            f"{where}/passkey", **hidden_fields(page) | {"credential": credential}
        )

    async def elevated(self, path: str, passkey: SoftwareAuthenticator | None = None) -> None:
        """Open a page, step up when it asks, and find it open."""
        asked = await self.get(path)
        if asked.status_code == 303:
            assert (await self.step_up(asked, passkey)).headers["location"] == path
        assert (await self.get(path)).status_code == 200
