"""A campaign that brings every secret there is to the service, and remembers each of them."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.config_values import parse_keys
from stepup.crypto.sealing import Sealer
from stepup.domain.keyring import Keyring
from stepup.usecases.keys import read_keyring
from tests.support.determinism import CountingEntropy

# What a caller sends or gets that must never be kept as it is.
_SECRET_FIELDS = frozenset(
    {
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "form_token",
        "id_token",
        "request_uri",
        "secret",
        "step_up_ticket",
        "subject_token",
        "token",
    }
)
# Shorter ones are a method's name or a code of six digits, which is looked for apart.
_SHORTEST = 16


class Recorder(httpx2.AsyncBaseTransport):
    """A network that remembers every secret that came by, under the name it had."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.codes: set[str] = set()
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._learn("query", dict(parse_qsl(request.url.query.decode())))
        self._learn("sent", _fields(request.headers, await request.aread()))
        response = await self._inner.handle_async_request(request)
        self._learn("got", _fields(response.headers, await response.aread()))
        location = response.headers.get("location", "")
        self._learn("redirect", dict(parse_qsl(urlsplit(location).query)))
        for field in response.headers.get_list("set-cookie"):
            name, _, value = field.partition(";")[0].partition("=")
            self._learn("cookie", {name: value}, every=True)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _learn(self, where: str, fields: dict[str, Any], *, every: bool = False) -> None:
        for name, value in fields.items():
            if not isinstance(value, str) or not (every or name in _SECRET_FIELDS):
                continue
            if re.fullmatch(r"\d{6}", value):
                self.codes.add(value)
            # A problem has a `code`, too: words.
            elif len(value) >= _SHORTEST and not re.fullmatch(r"[a-z_]+", value):
                # Of a handle or a JWT the last part is what nobody may know.
                self.secrets[f"{where} {name} {len(self.secrets)}"] = value.rpartition(".")[2]


def _fields(headers: httpx2.Headers, content: bytes) -> dict[str, Any]:
    kind = headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(content.decode()))
    if "json" in kind and content.startswith(b"{"):
        return dict(httpx2.Response(200, content=content).json())
    return {}


async def secrets_of_the_deployment(postgres_url: str) -> dict[str, bytes]:
    """Return what the deployment itself must keep: all keys, opened."""
    text = DevelopmentSecrets.shared_by(postgres_url).key_encryption_keys
    ring = parse_keys(text)
    sealer = Sealer(ring, CountingEntropy().bytes)
    database = PostgresDatabase(postgres_url, sealer)
    try:
        async with database.transaction() as stores:
            keyring = await read_keyring(stores, sealer)
    finally:
        await database.close()
    ours = {f"key-encryption key {number}": key for number, key in ring.items()}
    return ours | {"root secret": keyring.root} | dict(_private_keys(keyring))


def _private_keys(keyring: Keyring) -> Iterator[tuple[str, bytes]]:
    for key in keyring.keys:
        private: Any = key.private_key
        yield f"private key {key.id}", private.private_numbers().private_value.to_bytes(32, "big")
