"""What a client of somebody else's needs from us: a registration, and a person with a browser."""

import asyncio
import json
import secrets
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from stepup.demo.authenticator import Passkey
from stepup.demo.headless_browser import Browser, Page, forgetful_jar
from tests.support.service import RunningService

HERE = Path(__file__).parents[1] / "strict_client"
NPM = Path(__file__).parents[2] / ".ci" / "npm"
AUDIENCE = "https://api.example"
CALLBACK = "https://client.example/callback"
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a client goes its way; `registered` gives it a name and credentials."""

    authentication: str
    pushed: bool = True
    signed: bool = False
    dpop: str | None = None
    refreshes: bool = False
    profile: str = "oauth"
    key: str = "ES256"
    discovery: str = "oidc"
    request: dict[str, str] = field(default_factory=dict)
    client_id: str = ""
    secret: str | None = None
    private: dict[str, Any] | None = None

    def registration(self, jwk: dict[str, Any]) -> dict[str, Any]:
        """Return what an administrator registers of it."""
        members: dict[str, Any] = {
            "client_id": self.client_id,
            "redirect_uris": [CALLBACK],
            "roles": ["rp"],
            "audiences": [AUDIENCE],
            "token_endpoint_auth_method": self.authentication,
            "grant_types": ["authorization_code", *(["refresh_token"] if self.refreshes else [])],
            "require_pushed_authorization_requests": self.pushed,
            "require_signed_request_object": self.signed,
            "dpop_bound_access_tokens": self.dpop is not None,
            "profile": self.profile,
            "introspection_signed_response_alg": "ES256",
        }
        if self.authentication == "private_key_jwt":
            members["jwks"] = {"keys": [jwk]}
        return members

    def line(self, issuer: str) -> bytes:
        """Return what the client reads."""
        scope = "openid offline_access" if self.refreshes else "openid"
        asked = {"scope": scope, "acr_values": "phr", "max_age": "300"} | self.request
        told = {
            "issuer": issuer,
            "client": {
                "client_id": self.client_id,
                "introspection_signed_response_alg": "ES256",
                "require_auth_time": True,
            },
            "authentication": self.authentication,
            "secret": self.secret,
            "jwk": self.private,
            "pushed": self.pushed,
            "signed": self.signed,
            "dpop": self.dpop,
            "discovery": self.discovery,
            "redirect_uri": CALLBACK,
            "audience": AUDIENCE,
            "request": asked,
        }
        return json.dumps(told).encode() + b"\n"


def registered(service: RunningService, plan: Plan) -> Plan:
    """Register the client of a plan, as an administrator does."""
    private, public = _key_pair(plan.key)
    plan = replace(plan, client_id=f"strict-{secrets.token_hex(4)}")
    answer = httpx2.post(
        f"{service.issuer}/v1/admin/clients",
        json=plan.registration(public),
        headers=service.admin,
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    return replace(plan, secret=answer.json().get("client_secret"), private=private)


def _key_pair(algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    named = {"kid": "strict", "alg": algorithm, "use": "sig"}
    if algorithm == "EdDSA":
        okp = ed25519.Ed25519PrivateKey.generate()
        private = OKPAlgorithm.to_jwk(okp, as_dict=True)
        public = OKPAlgorithm.to_jwk(okp.public_key(), as_dict=True)
    elif algorithm == "ES256":
        curve = ec.generate_private_key(ec.SECP256R1())
        private = ECAlgorithm.to_jwk(curve, as_dict=True)
        public = ECAlgorithm.to_jwk(curve.public_key(), as_dict=True)
    else:
        numbers = rsa.generate_private_key(65537, 2048)
        private = RSAAlgorithm.to_jwk(numbers, as_dict=True)
        public = RSAAlgorithm.to_jwk(numbers.public_key(), as_dict=True)
    for each in (private, public):
        each.pop("key_ops", None)
    return private | named, public | named


class Somebody:
    """A person of the demo who has a passkey, and opens what a client wants opened."""

    def __init__(self, service: RunningService, sub: str) -> None:
        self._issuer, self._sub, self._passkey = service.issuer, sub, Passkey()
        self._idp = service.ready["demo"]["idp"]
        url = f"{service.issuer}/v1/admin/subjects/{sub}/authenticators"
        provisioning = self._passkey.provisioning()
        made = httpx2.post(url, json=provisioning, headers=service.admin, trust_env=False)
        assert made.status_code == 201, made.text

    async def lets(self, plan: Plan) -> dict[str, Any]:
        """Let a client go its way; return what it was given."""
        async with asyncio.timeout(PATIENCE):
            client = await _started()
            try:
                return await self._accompany(client, plan.line(self._issuer))
            finally:
                if client.returncode is None:
                    client.kill()
                await client.wait()

    async def _accompany(self, client: Process, line: bytes) -> dict[str, Any]:
        said = await _tell(client, line)
        if "open" in said:
            back = {"url": await self._open(said["open"])}
            said = await _tell(client, json.dumps(back).encode() + b"\n")
        done: dict[str, Any] = said["done"]
        return done

    async def _open(self, url: str) -> str:
        """Go where a new browser is sent, sign in and confirm; return where it ends."""
        async with httpx2.AsyncClient(cookies=forgetful_jar(), trust_env=False, timeout=15) as http:
            sites = {site: Browser(http, site) for site in (self._issuer, self._idp)}
            answer = await sites[self._issuer].get(url)
            while True:
                while answer.status_code == 303:
                    url = str(answer.url.join(answer.headers["location"]))
                    if url.startswith(CALLBACK):
                        return url
                    answer = await self._at(sites, url).get(url)
                assert answer.status_code == 200, answer.text
                answer = await self._answer(sites, str(answer.url), answer.text)

    async def _answer(self, sites: dict[str, Browser], url: str, text: str) -> httpx2.Response:
        browser, page = self._at(sites, url), Page(text)
        if url.startswith(self._idp):
            return await browser.post(page.forms[0][0], {"sub": self._sub})
        if page.options is None:
            return await browser.get(f"{url.partition('?')[0]}/passkey")
        action, form = page.form("passkey")
        form["credential"] = json.dumps(self._passkey.answer(page.options, self._issuer))
        return await browser.post(action, form)

    def _at(self, sites: dict[str, Browser], url: str) -> Browser:
        return sites[self._idp if url.startswith(self._idp) else self._issuer]


async def _started() -> Process:
    assert (HERE / "node_modules").is_dir(), "`make test` installs it"
    command = (str(NPM), "run", "--silent", "client")
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=HERE
    )


async def _tell(client: Process, line: bytes) -> dict[str, Any]:
    assert client.stdin
    assert client.stdout
    assert client.stderr
    client.stdin.write(line)
    said = await client.stdout.readline()
    # What it does not accept it says in its own words.
    assert said, (await client.stderr.read()).decode()
    answer: dict[str, Any] = json.loads(said)
    return answer
