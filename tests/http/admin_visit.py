"""An administrator's way to the admin API, over HTTP: step up, take the token, bring it along."""

import json
from typing import Any

import httpx2

from stepup.domain.administrator import Scope
from stepup.domain.client import Role
from stepup.domain.ids import Subject
from stepup.usecases.administrators import appoint
from tests.http.flow import ID_TOKEN, code_in, hidden_fields, passkey_options
from tests.support.application import CLIENT_SECRET, ISSUER
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.dpop import ProofKey
from tests.support.world import BANK_CALLBACK, IDP, PKCE_CHALLENGE, PKCE_VERIFIER, World

POLICY = "/v1/admin/policy"
DOCUMENT = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"
AUDIENCE = f"{ISSUER}/v1/admin"
CONSOLE = ("console", CLIENT_SECRET)


class AdminVisit:
    """Alice, who administers, with a passkey and an authenticator app; `console` is her client."""

    def __init__(self, http: httpx2.AsyncClient, world: World) -> None:
        self.http = http
        self.world = world
        self.passkeys: dict[str, SoftwareAuthenticator] = {}

    async def arrive(self) -> "AdminVisit":
        self.world.add_client(
            "console",
            redirect_uris=(BANK_CALLBACK,),
            roles=frozenset({Role.PEP, Role.RP}),
            audiences=(AUDIENCE, "elsewhere"),
        )
        await self.enroll("alice")
        await self.appoint("alice")
        return self

    async def enroll(self, sub: str) -> None:
        _, self.passkeys[sub] = await self.world.enroll_passkey(sub)
        await self.world.enroll_app(sub)

    async def appoint(self, sub: str, *scopes: Scope, issuer: str = IDP) -> None:
        await appoint(self.world.ports, Subject(issuer, sub), scopes or tuple(Scope), "host:root")

    async def ticket(self, action: str, sub: str = "alice") -> str:
        asked = {
            "subject": {"type": "user", "id": sub},
            "action": {"name": action},
            "resource": {"type": "stepup", "id": "admin"},
        }
        answer = await self.http.post("/access/v1/evaluation", json=asked, auth=CONSOLE)
        return answer.json()["context"]["step_up_ticket"]

    async def token(self, action: str, sub: str = "alice", **more: str) -> str:
        """Step up for an action with a passkey and return the token."""
        return await self.token_for({"step_up_ticket": await self.ticket(action, sub)} | more, sub)

    async def token_for(self, asked: dict[str, str], sub: str = "alice", **how: Any) -> str:
        """Push what is asked, answer with a passkey (or `with_app`), redeem."""
        form = {
            "response_type": "code",
            "redirect_uri": BANK_CALLBACK,
            "code_challenge": PKCE_CHALLENGE,
            "code_challenge_method": "S256",
            "subject_token": self.world.subject_token(sub),
            "subject_token_type": ID_TOKEN,
        }
        pushed = await self.http.post(
            "/oauth2/par", data=form | {"prompt": "login"} | asked, auth=CONSOLE
        )
        assert pushed.status_code == 201, pushed.text
        query = {"client_id": "console", "request_uri": pushed.json()["request_uri"]}
        authorized = await self.http.get("/oauth2/authorize", params=query)
        where = authorized.headers["location"]
        answered = await (self._type(where) if how.get("with_app") else self._touch(where, sub))
        key: ProofKey | None = how.get("bound_to")
        redeemed = await self.http.post(
            "/oauth2/token",
            headers={} if key is None else self.proof(key, "POST", "/oauth2/token"),
            data={
                "grant_type": "authorization_code",
                "code": code_in(answered),
                "redirect_uri": BANK_CALLBACK,
                "code_verifier": PKCE_VERIFIER,
            },
            auth=CONSOLE,
        )
        assert redeemed.status_code == 200, redeemed.text
        return redeemed.json()["access_token"]

    def proof(self, key: ProofKey, method: str, path: str, **said: str) -> dict[str, str]:
        """Make the header with a DPoP proof."""
        return {"dpop": key.proof(method, f"{ISSUER}{path}", self.world.clock.now(), **said)}

    async def activate(self, token: str) -> httpx2.Response:
        return await self.http.put(POLICY, content=DOCUMENT, headers=bearer(token))

    async def look(self, token: str) -> httpx2.Response:
        return await self.http.get(POLICY, headers=bearer(token))

    async def _touch(self, where: str, sub: str) -> httpx2.Response:
        page = await self.http.get(f"{where}/passkey")
        credential = self.passkeys[sub].answer(passkey_options(page.text))
        form = hidden_fields(page.text) | {"credential": json.dumps(credential)}
        return await self.http.post(f"{where}/passkey", data=form)

    async def _type(self, where: str) -> httpx2.Response:
        page = await self.http.get(f"{where}/code")
        form = hidden_fields(page.text) | {"code": self.world.code()}
        return await self.http.post(f"{where}/code", data=form)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
