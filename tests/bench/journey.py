"""The main job over HTTP: decision, PAR, authorize, the page, the answer, the token."""

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp

from tests.bench.client import Connection, Credentials, Load, form
from tests.http.flow import ID_TOKEN, a_transfer, hidden_fields, passkey_options
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER

JSON = {"content-type": "application/json"}
# 500.00 needs a code, 5000.00 a passkey.
CODE, PASSKEY = "500.00", "5000.00"


@dataclass
class Subject:
    """Somebody with an authenticator app and a passkey."""

    sub: str
    subject_token: str
    app: pyotp.TOTP
    passkey: SoftwareAuthenticator


@dataclass
class Journey:
    """Ways through the service for one client."""

    port: int
    bank: Credentials

    async def many(self, amount: str, subjects: Iterable[Subject], connections: int) -> Load:
        """Send every subject through once, some of them at a time."""
        waiting = iter(subjects)
        latencies: list[float] = []
        started = time.perf_counter()

        async def one_after_the_other() -> None:
            connection = await Connection.open(self.port)
            for subject in waiting:
                begun = time.perf_counter()
                await self.token(connection, amount, subject)
                latencies.append(time.perf_counter() - begun)
            await connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one_after_the_other())
        return Load(len(latencies), time.perf_counter() - started, latencies)

    async def token(self, connection: Connection, amount: str, subject: Subject) -> str:
        """Go all the way to an elevated token."""
        ticket = await self._ticket(connection, amount, subject)
        where, cookie = await self._authorize(connection, ticket, subject)
        answered = await self._answer(connection, where, cookie, amount, subject)
        code = parse_qs(urlsplit(answered).query)["code"][0]
        redeemed = await self._post(
            connection,
            200,
            "/oauth2/token",
            grant_type="authorization_code",
            code=code,
            redirect_uri=BANK_CALLBACK,
            code_verifier=PKCE_VERIFIER,
        )
        return redeemed["access_token"]

    async def _ticket(self, connection: Connection, amount: str, subject: Subject) -> str:
        asked = json.dumps(a_transfer(amount, sub=subject.sub)).encode()
        headers = JSON | self.bank.header
        decided = await connection.expect(200, "POST", "/access/v1/evaluation", headers, asked)
        return json.loads(decided.body)["context"]["step_up_ticket"]

    async def _authorize(
        self, connection: Connection, ticket: str, subject: Subject
    ) -> tuple[str, dict[str, str]]:
        pushed = await self._post(
            connection,
            201,
            "/oauth2/par",
            response_type="code",
            redirect_uri=BANK_CALLBACK,
            state="st-1",
            code_challenge=PKCE_CHALLENGE,
            code_challenge_method="S256",
            step_up_ticket=ticket,
            subject_token=subject.subject_token,
            subject_token_type=ID_TOKEN,
        )
        query = urlencode({"client_id": self.bank.client_id, "request_uri": pushed["request_uri"]})
        authorized = await connection.expect(303, "GET", f"/oauth2/authorize?{query}")
        cookie = authorized.headers["set-cookie"].partition(";")[0]
        return authorized.headers["location"], {"cookie": cookie}

    async def _answer(
        self, connection: Connection, where: str, cookie: dict[str, str], amount: str, who: Subject
    ) -> str:
        step = f"{where}/code" if amount == CODE else f"{where}/passkey"
        page = (await connection.expect(200, "GET", step, cookie)).body.decode()
        fields = hidden_fields(page)
        if amount == CODE:
            fields["code"] = who.app.now()
        else:
            fields["credential"] = json.dumps(who.passkey.answer(passkey_options(page)))
        kind, body = form(fields)
        answered = await connection.expect(303, "POST", step, kind | cookie, body)
        return answered.headers["location"]

    async def _post(
        self, connection: Connection, status: int, target: str, **fields: str
    ) -> dict[str, str]:
        kind, body = form(fields)
        headers = kind | self.bank.header
        return json.loads((await connection.expect(status, "POST", target, headers, body)).body)
