"""What every round needs: the whole service on embedded engines, subjects, the bare loop."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote

import pyotp

from tests.bench.client import Connection, Credentials
from tests.bench.journey import JSON, Journey, Subject
from tests.bench.processes import Service, bare_loop, find_service
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.identity_provider import IdentityProvider
from tests.support.service import RunningService, running_service
from tests.support.world import BANK_CALLBACK

_SECRET = b"12345678901234567890"
_AT_ONCE = 8


class Setting(NamedTuple):
    """Everything that runs."""

    loop: Service
    service: Service
    journey: Journey
    redis_url: str
    running: RunningService
    upstream: IdentityProvider

    async def enroll(self, count: int) -> list[Subject]:
        """Make that many subjects, each with an authenticator app and a passkey."""
        subjects = [self._subject(f"subject-{secrets.token_hex(6)}") for _ in range(count)]
        waiting = iter(subjects)

        async def some() -> None:
            async with self.connection() as connection:
                for subject in waiting:
                    await self._provision(connection, subject)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(some())
        return subjects

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open a connection to the service."""
        connection = await Connection.open(self.service.port)
        yield connection
        await connection.close()

    def _subject(self, sub: str) -> Subject:
        now = int(time.time())
        times = {"iat": now, "exp": now + 600, "auth_time": now}
        return Subject(
            sub=sub,
            subject_token=self.upstream.token(sub=sub, **times),
            app=pyotp.TOTP(base64.b32encode(_SECRET).decode()),
            passkey=SoftwareAuthenticator(origin=self.running.issuer),
        )

    async def _provision(self, connection: Connection, subject: Subject) -> None:
        issuer = quote(self.upstream.issuer, safe="")
        target = f"/v1/admin/subjects/{subject.sub}/authenticators?issuer={issuer}"
        headers = JSON | {"authorization": f"Bearer {self.running.ready['admin']['token']}"}
        app = {"type": "totp", "secret": subject.app.secret}
        for described in (app, subject.passkey.provisioning()):
            body = json.dumps(described).encode()
            await connection.expect(201, "POST", target, headers, body)


@contextmanager
def everything() -> Iterator[Setting]:
    """Run the service, the bare loop and an identity provider until the block ends."""
    upstream = IdentityProvider()
    bank = Credentials("bank", secrets.token_urlsafe(32))
    try:
        with TemporaryDirectory() as folder, bare_loop() as loop:
            path = Path(folder)
            clients = path / "clients.json"
            clients.write_text(json.dumps([_client(bank, upstream)]))
            upstreams = json.dumps([{"issuer": upstream.issuer, "audience": "bank"}])
            arguments = ["--no-demo", "--workers", "1", "--clients", str(clients)]
            with running_service(path, *arguments, "--set", f"upstreams={upstreams}") as running:
                port = int(running.issuer.rpartition(":")[2])
                yield Setting(
                    loop=loop,
                    service=find_service(port, running.process.pid),
                    journey=Journey(port, bank),
                    redis_url=running.ready["engines"]["redis"],
                    running=running,
                    upstream=upstream,
                )
    finally:
        upstream.stop()


def _client(bank: Credentials, upstream: IdentityProvider) -> dict[str, object]:
    return {
        "client_id": bank.client_id,
        "client_secret": bank.secret,
        "redirect_uris": [BANK_CALLBACK],
        "roles": ["pep", "rp", "rs"],
        "audiences": ["bank-api"],
        "subject_issuer": upstream.issuer,
        "asserts_authentication": True,
    }
