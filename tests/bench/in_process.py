"""What is measured without HTTP: verification in the SDK, the policy alone, a round of Redis.

Each line names what it is compared with, measured in turns with it; times are CPU time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
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
from stepup.domain.assurance import Acr, Approval, AuthnContext
from stepup.domain.decision import decide
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName, AttemptId
from stepup.policy_language import document
from stepup.sdk.keys import KeySet
from stepup.sdk.verifier import Verifier
from tests.bench.processes import Service
from tests.sdk.minting import AUDIENCE, ISSUER, NOW, TRANSFER, VALUES, Clock, Issuer

IN_FLIGHT = 32
_ES256 = ec.ECDSA(SHA256())
# The tokens are signed for a time that stands still.
_NO_TIMES: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
_LEVELS = ("urn:stepup:acr:1", "urn:stepup:acr:2", "phr", "phrh")


class Effort(NamedTuple):
    """How much of everything."""

    rounds: int
    tokens: int
    repeats: int
    decisions: int
    actions: int
    spends: int


FULL = Effort(rounds=5, tokens=300, repeats=5_000, decisions=5_000, actions=1000, spends=4_000)
QUICK = Effort(rounds=1, tokens=20, repeats=200, decisions=200, actions=100, spends=200)


class Comparison(NamedTuple):
    """One line: a cost, and that of what it is held against."""

    name: str
    us: float
    against: str
    against_us: float

    @property
    def ratio(self) -> float:
        return self.us / self.against_us


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

    return Cryptography(*_in_turns(effort.rounds, effort.tokens, sign, verify))


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

    new, bare_us, decoded = _in_turns(effort.rounds, effort.tokens, first_time, signatures, decode)
    (seen,) = _in_turns(effort.rounds, effort.repeats, again)
    return [
        Comparison("SDK, a token's first verification", new, "bare ES256 verify", bare_us),
        Comparison("SDK, a token seen before", seen, "PyJWT decode", decoded),
    ]


def measure_policy(effort: Effort) -> list[Comparison]:
    """Measure a decision among one action and among many: it must cost the same."""
    one, many = (document.parse(_document(actions), version=1) for actions in (1, effort.actions))
    now = datetime.now(UTC)
    context = AuthnContext(acr=Acr("urn:stepup:acr:1"), amr=(), auth_time=now - timedelta(60))
    approval = Approval(context=context)

    def ask(policy: object, last: int) -> Callable[[], None]:
        request = DecisionRequest(
            subject_type="user",
            subject_id="alice",
            action=ActionName(f"payments.transfer-{last}"),
            resource_type="account",
            resource_id="1",
            action_properties={"amount": "5000.00", "payee": "ACME", "currency": "EUR"},
        )

        def decisions() -> None:
            for _ in range(effort.decisions):
                decide(policy, request, approval, now)

        return decisions

    alone, among = _in_turns(
        effort.rounds, effort.decisions, ask(one, 0), ask(many, effort.actions - 1)
    )
    return [
        Comparison(f"policy, one of {effort.actions} actions", among, "policy, one action", alone)
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


def _in_turns(rounds: int, times: int, *works: Callable[[], None]) -> list[float]:
    """Return the median CPU time of one repetition of each, in µs; the first turn warms up."""
    costs: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, cost in zip(works, costs, strict=True):
            started = time.process_time()
            work()
            cost.append((time.process_time() - started) / times * 1e6)
    return [median(cost[1:]) for cost in costs]


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


def _document(actions: int) -> str:
    return "apiVersion: stepup/v1\nactions:\n" + "".join(
        f"""
  payments.transfer-{number}:
    attributes:
      amount: {{type: decimal, required: true}}
      currency: {{type: string, enum: [EUR, USD]}}
      payee: {{type: string, required: true}}
    bind: [amount, payee]
    token: {{ttl: 120s, once: true, audience: bank-api}}
    rules:
      - {{id: small, when: action.amount > 0 && action.amount <= 10000, allow: true}}
      - id: large
        when: action.amount > 100000
        require: {{level: phr, max_age: 0s, methods: [webauthn]}}
    default: {{level: urn:stepup:acr:2}}
"""
        for number in range(actions)
    )
