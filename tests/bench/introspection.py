"""Where an introspection's time goes, and JWKS': `python -m tests.bench.introspection`.

In this process and over memory, so that what is measured is our own work: Redis, the server and the
socket are in `make bench`. CPU time, the quickest of some rounds.
"""

import argparse
import asyncio
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any, NamedTuple

import structlog

from stepup.crypto import digests, dpop, tokens
from stepup.crypto.read_before import ReadBefore
from stepup.usecases import introspect
from tests.http.flow import Flow
from tests.support.application import CLIENT_SECRET, ISSUER, calling
from tests.support.dpop import ProofKey
from tests.support.one_app import app_of
from tests.support.world import World

_FORM = [
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"authorization", b"Basic " + b64encode(f"bank:{CLIENT_SECRET}".encode())),
]


class Line(NamedTuple):
    """What was done, and its CPU time."""

    name: str
    us: float


class Bench:
    """A token of the demo bank, and all that can be done with it."""

    def __init__(self, world: World, token: str, *, rounds: int, times: int) -> None:
        self.world, self.token = world, token
        self.rounds, self.times = rounds, times
        self.app: Any = app_of(world.ports)

    async def lines(self) -> list[Line]:
        ports, site, now = self.world.ports, self.world.site, self.world.clock.now()
        keyring = ports.snapshot.keyring
        key = dpop.nonce_key(keyring.root)
        proof = ProofKey().proof("POST", f"{ISSUER}/oauth2/token", now)
        known = tokens.read(self.token, keyring, site, now).token
        body = f"token={self.token}".encode()

        def anew() -> None:
            tokens._read_before = ReadBefore()
            tokens.read(self.token, keyring, site, now)

        def check_proof() -> None:
            dpop.verify_proof(proof, method="POST", url=f"{ISSUER}/oauth2/token", now=now)

        return [
            Line("read a token, the first time", self.time(anew)),
            Line("read a token, seen before", self.time(lambda: tokens.read(*self._read))),
            Line("its claims for the answer", self.time(lambda: tokens.claims_of(known, site))),
            Line("digest of a client's secret", self.time(lambda: digests.keyed_digest(key, "s"))),
            Line("check of a DPoP proof", self.time(check_proof)),
            Line("use case, seen before", await self.time_of(self._introspect)),
            Line("request, introspection", await self.time_of(self.post(_FORM, body))),
            Line(
                "request, introspection, signed",
                await self.time_of(self.post([*_FORM, _SIGNED], body)),
            ),
            Line("request, JWKS", await self.time_of(self.get("/.well-known/jwks.json"))),
        ]

    @property
    def _read(self) -> tuple[Any, ...]:
        ports = self.world.ports
        return self.token, ports.snapshot.keyring, ports.site, ports.clock.now()

    async def _introspect(self) -> None:
        await introspect.introspect(self.world.ports, self.world.bank, self.token)

    def post(
        self, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Callable[[], Awaitable[None]]:
        return lambda: self._request("POST", "/oauth2/introspect", headers, body)

    def get(self, path: str) -> Callable[[], Awaitable[None]]:
        return lambda: self._request("GET", path, [], b"")

    async def _request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("stepup.example", 443),
            "scheme": "https",
            "http_version": "1.1",
            "state": {},
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        assert sent[0]["status"] == 200, sent

    def time(self, work: Callable[[], object]) -> float:
        def rounds() -> float:
            begun = process_time()
            for _ in range(self.times):
                work()
            return process_time() - begun

        return min(rounds() for _ in range(self.rounds)) / self.times * 1e6

    async def time_of(self, work: Callable[[], Awaitable[None]]) -> float:
        best = float("inf")
        for _ in range(self.rounds):
            begun = process_time()
            for _ in range(self.times):
                await work()
            best = min(best, process_time() - begun)
        return best / self.times * 1e6


_SIGNED = (b"accept", b"application/token-introspection+jwt")


async def measure(*, rounds: int, times: int) -> list[Line]:
    """Step up once, and measure what can be done with the token."""
    world = World()
    await world.enroll_app()
    async with calling(app_of(world.ports)) as http:
        token = await Flow(http, world).token()
    return await Bench(world, token, rounds=rounds, times=times).lines()


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.introspection", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all")
    quick = parser.parse_args(arguments).quick
    # The log line is made and thrown away: a terminal is no part of the service.
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    for line in asyncio.run(measure(rounds=1 if quick else 7, times=20 if quick else 1000)):
        sys.stdout.write(f"{line.name:<34}{line.us:>9,.1f} µs\n")


if __name__ == "__main__":
    main(sys.argv[1:])
