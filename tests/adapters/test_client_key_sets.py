"""Keys that clients publish at URLs, against real HTTP servers: each attack, each outage."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from stepup.adapters.upstream import addresses
from stepup.adapters.upstream.cached import PAUSE, USABLE
from stepup.adapters.upstream.client_key_sets import ClientKeySets
from stepup.adapters.upstream.fetching import Fetcher
from stepup.domain.errors import DependencyUnavailableError
from tests.support.certificates import DAY, Issued, issue
from tests.support.identity_provider import IdentityProvider


@pytest.fixture
def server():
    server = IdentityProvider()
    yield server
    server.stop()


@pytest.fixture
async def key_sets(clock):
    sets = ClientKeySets(clock, development=True)
    yield sets
    await sets.close()


def url_of(server: IdentityProvider) -> str:
    return f"{server.issuer}/jwks"


async def test_a_set_is_fetched_once_and_kept(server, key_sets):
    for _ in range(3):
        assert [each["kid"] for each in await key_sets.get(url_of(server), "key-1")] == ["key-1"]

    assert server.requests == {"/jwks": 1}


async def test_an_unknown_kid_fetches_again_though_not_often(server, key_sets, clock):
    await key_sets.get(url_of(server), "key-1")
    clock.advance(PAUSE)
    for n in range(20):
        await key_sets.get(url_of(server), f"invented-{n}")
    assert server.requests == {"/jwks": 2}
    server.add_key("key-2")
    clock.advance(PAUSE)
    assert len(await key_sets.get(url_of(server), "key-2")) == 2


async def test_an_old_set_serves_for_a_while_when_the_url_is_away(server, key_sets, clock):
    await key_sets.get(url_of(server), "key-1")
    server.status = 500
    clock.advance(USABLE - timedelta(seconds=1))
    assert await key_sets.get(url_of(server), "key-1")
    clock.advance(PAUSE)
    with pytest.raises(DependencyUnavailableError):
        await key_sets.get(url_of(server), "key-1")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        json.dumps({"keys": [{"kty": "EC", "kid": "a"}, {"kty": "EC", "kid": "a"}]}).encode(),
        b'{"keys":' + b"[" * 5000,
        b'{"keys": [' + b" " * 300_000 + b"]}",
    ],
)
async def test_what_is_no_set_in_order_is_none(server, key_sets, body):
    server.body = body

    with pytest.raises(DependencyUnavailableError):
        await key_sets.get(url_of(server), None)


async def test_a_redirect_is_not_followed(server, key_sets):
    server.status, server.location = 302, f"{server.issuer}/elsewhere"

    with pytest.raises(DependencyUnavailableError):
        await key_sets.get(url_of(server), None)
    assert server.requests == {"/jwks": 1}


async def test_a_slow_url_holds_up_nobody_else(server, key_sets):
    slow = IdentityProvider()
    slow.drip_seconds = 0.2
    try:
        waiting = [asyncio.create_task(key_sets.get(url_of(slow), None)) for _ in range(50)]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        assert await key_sets.get(url_of(server), "key-1")
        assert time.monotonic() - begun < 1
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
    finally:
        slow.stop()


@contextmanager
def https_server(leaf: Issued, folder: Path) -> Iterator[int]:
    """Answer everything with an empty object, over TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    files = folder / "leaf.pem"
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    files.write_text(leaf.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestServerSideRequestForgery:
    async def test_a_url_that_leads_to_this_machine_is_not_fetched(self, server, clock):
        sets = ClientKeySets(clock, development=False)
        port = server.issuer.rpartition(":")[2]
        for url in (
            f"http://127.0.0.1:{port}/jwks",
            f"https://127.0.0.1:{port}/jwks",
            f"https://localhost:{port}/jwks",
            f"https://[::1]:{port}/jwks",
            f"https://[::ffff:127.0.0.1]:{port}/jwks",
            f"https://0.0.0.0:{port}/jwks",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/jwks",
            "https://user@bank.example/jwks",
            "file:///etc/passwd",
            "ftp://bank.example/jwks",
        ):
            with pytest.raises(DependencyUnavailableError):
                await sets.get(url, None)
        assert server.requests == {}
        await sets.close()

    async def test_one_private_address_among_public_ones_is_too_many(self, monkeypatch):
        monkeypatch.setattr(addresses, "_look_up", lambda *_: ["93.184.216.34", "10.0.0.1"])
        found = addresses.PublicAddresses()
        with pytest.raises(DependencyUnavailableError, match="public"):
            await found.find("bank.example", 443)
        found.close()

    async def test_the_address_that_was_looked_at_is_connected_to(self, monkeypatch):
        # A name that answers otherwise the second time (DNS rebinding) is not asked a second time.
        answers = iter([["93.184.216.34"], ["127.0.0.1"]])
        monkeypatch.setattr(addresses, "_look_up", lambda *_: next(answers))
        asked: list[httpx2.Request] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.append(request)
            return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

        fetcher = Fetcher(public_only=True)
        transport = httpx2.MockTransport(answer)
        monkeypatch.setattr(fetcher, "_client", httpx2.AsyncClient(transport=transport))
        assert await fetcher.get("https://bank.example/jwks") == b"{}"
        assert str(asked[0].url) == "https://93.184.216.34/jwks"
        assert asked[0].headers["host"] == "bank.example"
        assert asked[0].extensions["sni_hostname"] == "bank.example"
        await fetcher.close()

    async def test_the_certificate_is_of_the_name_and_not_of_the_address(
        self, monkeypatch, tmp_path
    ):
        now = datetime.now(UTC)
        authority = issue(
            subject="CN=Authority", ca=True, uses=(), since=now - DAY, until=now + DAY
        )
        leaf = issue(
            authority,
            uses=(ExtendedKeyUsageOID.SERVER_AUTH,),
            since=now - DAY,
            until=now + DAY,
        )
        context = ssl.create_default_context(cadata=authority.pem)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        monkeypatch.setattr(addresses, "is_public", lambda _: True)
        monkeypatch.setattr(addresses, "_look_up", lambda *_: ["127.0.0.1"])
        fetcher = Fetcher(public_only=True)
        client = httpx2.AsyncClient(verify=context, trust_env=False)
        monkeypatch.setattr(fetcher, "_client", client)
        with https_server(leaf, tmp_path) as port:
            assert await fetcher.get(f"https://bank.example:{port}/jwks") == b"{}"
            with pytest.raises(DependencyUnavailableError):
                await fetcher.get(f"https://shop.example:{port}/jwks")
        await fetcher.close()

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",  # noqa: S104  to be refused
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ],
    )
    def test_an_address_that_is_not_public(self, address):
        assert not addresses.is_public(address)

    @pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
    def test_a_public_address(self, address):
        assert addresses.is_public(address)
