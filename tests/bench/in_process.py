"""What is measured without HTTP: verification in the SDK, a round of Redis.

Each line names what it is compared with, measured in turns with it; times are CPU time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from statistics import median
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Endpoint, OneNode
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.replays import RedisReplayStore
from stepup.adapters.redis.shard import OneShard
from stepup.adapters.system import SystemClock, SystemEntropy
from stepup.domain.ids import AttemptId
from stepup.sdk.keys import KeySet
from stepup.sdk.verifier import Verifier
from tests.bench.processes import Service
from tests.bench.turns import Comparison, Effort, in_turns
from tests.sdk.minting import AUDIENCE, ISSUER, NOW, TRANSFER, VALUES, Clock, Issuer

IN_FLIGHT = 32
_ES256 = ec.ECDSA(SHA256())
# The tokens are signed for a time that stands still.
_NO_TIMES: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
_LEVELS = ("urn:stepup:acr:1", "urn:stepup:acr:2", "phr", "phrh")


class Cryptography(NamedTuple):
    """What ES256 costs here and now, in µs."""

    sign: float
    verify: float


def measure_cryptography(effort: Effort) -> Cryptography:
    """Measure what no step-up can do without."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    signature = key.sign(b"message" * 100, _ES256)

    def sign() -> None:
        for _ in range(effort.tokens):
            key.sign(b"message" * 100, _ES256)

    def verify() -> None:
        for _ in range(effort.tokens):
            public.verify(signature, b"message" * 100, _ES256)

    return Cryptography(*in_turns(effort.rounds, effort.tokens, sign, verify))


def measure_sdk(effort: Effort) -> list[Comparison]:
    """Measure the verifier with tokens it sees for the first time, and with one it knows."""
    issuer = Issuer()
    tokens = [issuer.mint(jti=f"token-{n}") for n in range(effort.tokens)]
    public = issuer.keys[0].private.public_key()
    bare = [_signed(token) for token in tokens]
    keys = KeySet(f"{ISSUER}/jwks", issuer.fetch)
    known = _verifier(keys)

    def first_time() -> None:
        _verify_all(_verifier(keys), tokens)

    def signatures() -> None:
        for signature, message in bare:
            public.verify(signature, message, _ES256)

    def decode() -> None:
        for token in tokens:
            jwt.decode(token, public, ["ES256"], audience=AUDIENCE, options=_NO_TIMES)

    def again() -> None:
        _verify_all(known, tokens[:1] * effort.repeats)

    new, bare_us, decoded = in_turns(effort.rounds, effort.tokens, first_time, signatures, decode)
    (seen,) = in_turns(effort.rounds, effort.repeats, again)
    return [
        Comparison("SDK, a token's first verification", new, "bare ES256 verify", bare_us),
        Comparison("SDK, a token seen before", seen, "PyJWT decode", decoded),
    ]


async def measure_redis(effort: Effort, url: str, service: Service) -> list[Comparison]:
    """Measure one spend, its script included, beside a PING on the same kind of connection."""
    client = RedisClient(OneShard(OneNode(Endpoint.parse(url)), name="bench", replicas=0))
    client.start()
    try:
        await client.check()
        return await _measure_spends(effort, client, service)
    finally:
        await client.close()


async def _measure_spends(
    effort: Effort, client: RedisClient, service: Service
) -> list[Comparison]:
    clock = SystemClock()
    # Nobody asks it here: what is remembered without a moment needs no floor.
    generations = RedisGenerations(client, clock, SystemEntropy())
    store = RedisReplayStore(client, clock, generations)
    numbers = count()
    until = clock.now() + timedelta(seconds=1)

    async def spend() -> None:
        number = str(next(numbers))
        await store.remember("bench", number, AttemptId(number), until)

    async def ping() -> None:
        await client.call("PING")

    lines = []
    for in_flight in (1, IN_FLIGHT):
        costs = [
            await _many(work, effort.spends if in_flight > 1 else effort.spends // 8, in_flight)
            for _ in range(effort.rounds)
            for work in (spend, ping)
        ]
        spends, pings = median(costs[::2]), median(costs[1::2])
        lines.append(
            Comparison(f"Redis spend, client, {in_flight} in flight", spends, "PING", pings)
        )
    before = service.cpu().redis
    await _many(spend, effort.spends, IN_FLIGHT)
    between = service.cpu().redis
    await _many(ping, effort.spends, IN_FLIGHT)
    costs = [
        each / effort.spends / 1000 for each in (between - before, service.cpu().redis - between)
    ]
    lines.append(
        Comparison(f"Redis spend, server, {IN_FLIGHT} in flight", costs[0], "PING", costs[1])
    )
    return lines


async def _many(work: Callable[[], Awaitable[None]], times: int, in_flight: int) -> float:
    """Return the CPU time of one call in µs."""
    left = iter(range(times))

    async def one_after_the_other() -> None:
        for _ in left:
            await work()

    started = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    return (time.process_time() - started) / times * 1e6


def _verifier(keys: KeySet) -> Verifier:
    return Verifier(issuer=ISSUER, audience=AUDIENCE, levels=_LEVELS, keys=keys, clock=Clock(NOW))


def _verify_all(verifier: Verifier, tokens: list[str]) -> None:
    for token in tokens:
        verifier.verify(token, TRANSFER, VALUES)


def _signed(token: str) -> tuple[bytes, bytes]:
    message, _, signature = token.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    halves = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return encode_dss_signature(*halves), message.encode()
