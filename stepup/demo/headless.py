"""One whole step-up over HTTP, checked at every step; the customer is the demo bank.

base login → enroll → decision → PAR → authorize → challenge page → answer → token → SDK
verification → introspection → consume → revoke
"""

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from stepup.demo.authenticator import AuthenticatorApp, Passkey
from stepup.demo.headless_browser import Browser, Page
from stepup.demo.ledger import CURRENCY
from stepup.demo.target import Target
from stepup.demo.transfers import ACTION, requirement_for
from stepup.sdk import Pending, Requirement, StepUp, StepUpRequired, bound_digest
from stepup.sdk.flow import ID_TOKEN

Method = Literal["totp", "passkey"]
AMOUNTS = {"totp": "250.00", "passkey": "5000.00"}
METHODS = {"totp": "totp", "passkey": "webauthn"}
PAYEE = "Carol Osei"


class CheckError(Exception):
    """Something did not hold that must."""


class Step(NamedTuple):
    """One step of a run, and how long it took."""

    name: str
    ms: float
    detail: str


@dataclass(slots=True)
class Run:
    """One step-up of one subject."""

    target: Target
    http: httpx2.AsyncClient
    su: StepUp
    method: Method
    sub: str = field(default_factory=lambda: f"headless-{secrets.token_hex(6)}")
    steps: list[Step] = field(default_factory=list)
    failure: str | None = None
    passkey: Passkey = field(default_factory=Passkey)
    app: AuthenticatorApp = field(default_factory=AuthenticatorApp)
    id_token: str = ""

    @property
    def values(self) -> dict[str, str]:
        """What the transfer is bound to."""
        return {"amount": AMOUNTS[self.method], "currency": CURRENCY, "payee": PAYEE}

    async def prepare(self) -> None:
        """Do what happens long before: sign in at the base, have an authenticator."""
        await self._guarded(self._prepare)

    async def step_up(self) -> None:
        """Do everything from the decision to the revoked token."""
        if self.failure is None:
            await self._guarded(self._step_up)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  whatever it is, the run has failed, and says so
            self.failure = f"{type(error).__name__}: {error}"

    async def _prepare(self) -> None:
        with self._step("base login") as say:
            form = {"sub": self.sub, "client_id": self.target.upstream_client}
            answer = await self.http.post(self.target.token_endpoint, data=form)
            self.id_token = _document(answer, 200)["id_token"]
            say(self.sub)
        with self._step("enroll") as say:
            authenticator = self.passkey if self.method == "passkey" else self.app
            answer = await self.http.post(
                f"{self.target.issuer}/v1/admin/subjects/{self.sub}/authenticators",
                params={"issuer": self.target.upstream},
                json=authenticator.provisioning(),
                headers={"Authorization": f"Bearer {self.target.admin_token}"},
            )
            _document(answer, 201)
            say(METHODS[self.method])

    async def _step_up(self) -> None:
        ticket = await self._decide()
        pending = Pending(redirect_uri=self.target.redirect_uri)
        request_uri = await self._push(ticket, pending)
        browser = Browser(self.http, self.target.origin)
        challenge = await self._authorize(browser, request_uri)
        page = await self._open(browser, challenge)
        callback = await self._answer(browser, page)
        raw = await self._redeem(callback, pending)
        self._verify(raw)
        await self._introspect(raw)
        await self._consume(raw)
        await self._revoke(raw)

    async def _decide(self) -> str:
        with self._step("decision") as say:
            question = {
                "subject": {
                    "type": "user",
                    "id": self.sub,
                    "properties": {"issuer": self.target.upstream},
                },
                "action": {"name": ACTION, "properties": self.values},
                "resource": {"type": "account", "id": self.sub},
            }
            url = f"{self.target.issuer}/access/v1/evaluation"
            answer = await self.http.post(url, json=question, auth=self.target.client)
            document = _document(answer, 200)
            _check(document.get("decision") is False, "the transfer went through as it was")
            context = document["context"]
            _check(METHODS[self.method] in context["methods"], "the method is not offered")
            say(f"step up to {context['acr_values']}")
            return str(context["step_up_ticket"])

    async def _push(self, ticket: str, pending: Pending) -> str:
        with self._step("PAR"):
            form = {
                "response_type": "code",
                "redirect_uri": pending.redirect_uri,
                "code_challenge": pending.pkce.challenge,
                "code_challenge_method": pending.pkce.method,
                "state": pending.state,
                "step_up_ticket": ticket,
                "subject_token": self.id_token,
                "subject_token_type": ID_TOKEN,
            }
            return str((await self._call("par", form, expected=201))["request_uri"])

    async def _authorize(self, browser: Browser, request_uri: str) -> str:
        with self._step("authorize") as say:
            query = urlencode({"client_id": self.target.client[0], "request_uri": request_uri})
            answer = await browser.get(f"{self.target.issuer}/oauth2/authorize?{query}")
            _check(answer.status_code == 303, f"authorize answers {answer.status_code}")
            path = urlsplit(answer.headers["location"]).path
            _check(path.startswith("/c/"), f"the browser is sent to {path}")
            say(path)
            return path

    async def _open(self, browser: Browser, challenge: str) -> Page:
        with self._step("challenge page"):
            leaf = "code" if self.method == "totp" else "passkey"
            answer = await browser.get(f"{challenge}/{leaf}")
            _check(answer.status_code == 200, f"the page answers {answer.status_code}")
            return Page(answer.text)

    async def _answer(self, browser: Browser, page: Page) -> dict[str, str]:
        with self._step("answer") as say:
            if self.method == "totp":
                action, form = page.form("code")
                form["code"] = self.app.code()
            else:
                action, form = page.form("passkey")
                _check(page.options is not None, "the page has no passkey options")
                credential = self.passkey.answer(page.options or {}, self.target.origin)
                form["credential"] = _compact(credential)
            answer = await browser.post(action, form)
            _check(answer.status_code == 303, f"the answer was refused: {answer.status_code}")
            url = answer.headers["location"]
            _check(url.startswith(self.target.redirect_uri + "?"), "the browser is sent elsewhere")
            say("confirmed")
            return dict(parse_qsl(urlsplit(url).query))

    async def _redeem(self, callback: dict[str, str], pending: Pending) -> str:
        with self._step("token") as say:
            form = {
                "grant_type": "authorization_code",
                "code": pending.code_from(callback, self.target.issuer),
                "redirect_uri": pending.redirect_uri,
                "code_verifier": pending.pkce.verifier,
            }
            document = await self._call("token", form)
            say(f"good for {document['expires_in']} s")
            return str(document["access_token"])

    def _verify(self, raw: str) -> None:
        with self._step("SDK verification") as say:
            requirement = requirement_for(self.values["amount"])
            if requirement is None:
                raise CheckError("the transfer needs no step-up")
            token = self.su.verify(raw, requirement, self.values)
            say(f"{token.level}, {' '.join(token.methods)}")
        changes = {"amount": "9999.00", "currency": "USD", "payee": "Mallory"}
        for name, value in changes.items():
            with self._step(f"changed {name} is refused"):
                self._refuse(raw, requirement, self.values | {name: value})

    def _refuse(self, raw: str, requirement: Requirement, values: dict[str, str]) -> None:
        try:
            self.su.verify(raw, requirement, values)
        except StepUpRequired:
            return
        raise CheckError("it was accepted")

    async def _introspect(self, raw: str) -> None:
        with self._step("introspection"):
            document = await self._call("introspect", {"token": raw})
            _check(document.get("active") is True, "the token is not active")
            _check(document.get("client_id") == self.target.client[0], "it is somebody else's")

    async def _consume(self, raw: str) -> None:
        form = {
            "token": raw,
            "action": ACTION,
            "bound_digest": bound_digest(ACTION, self.values),
        }
        with self._step("consume"):
            document = await self._call("consume", form)
            _check(document.get("active") is True, "the token could not be used")
        with self._step("second consume is refused"):
            await self._call("consume", form, expected=409)

    async def _revoke(self, raw: str) -> None:
        with self._step("revoke"):
            await self._call("revoke", {"token": raw})
        with self._step("introspection says inactive"):
            document = await self._call("introspect", {"token": raw})
            _check(document.get("active") is False, "a revoked token is still active")

    async def _call(
        self, endpoint: str, form: dict[str, str], *, expected: int = 200
    ) -> dict[str, Any]:
        answer = await self.http.post(
            f"{self.target.issuer}/oauth2/{endpoint}", data=form, auth=self.target.client
        )
        return _document(answer, expected)

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        details: list[str] = []
        began = time.perf_counter()
        try:
            yield details.append
        except Exception as error:
            raise CheckError(f"{name}: {error}") from error
        self.steps.append(Step(name, (time.perf_counter() - began) * 1000, " ".join(details)))


def _check(holds: object, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)


def _document(answer: httpx2.Response, expected: int) -> dict[str, Any]:
    if answer.status_code != expected:
        raise CheckError(f"{answer.status_code} instead of {expected}: {answer.text[:300]}")
    document: dict[str, Any] = answer.json() if answer.content else {}
    return document


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
