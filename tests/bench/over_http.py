"""What is measured over HTTP: interleaved rounds, CPU time of the servers per request."""

import json
from collections.abc import Awaitable, Callable
from statistics import median
from typing import NamedTuple

from tests.bench.client import Load, compose, form, hammer
from tests.bench.journey import CODE, JSON, PASSKEY, Subject
from tests.bench.processes import Cpu, Service, wait_until_quiet
from tests.bench.setting import Setting
from tests.http.flow import a_transfer

BARE_LOOP = "bare loop, POST"
STEP_UP_CODE = "full step-up, authenticator app"
STEP_UP_PASSKEY = "full step-up, passkey"


class Plan(NamedTuple):
    """How long and how often."""

    rounds: int
    seconds: float
    flows: int
    connections: int
    flow_connections: int = 8


FULL = Plan(rounds=5, seconds=1.0, flows=80, connections=16)
QUICK = Plan(rounds=1, seconds=0.2, flows=4, connections=8, flow_connections=2)


class Figures(NamedTuple):
    """One line: medians over the rounds. A step-up of six requests counts as one."""

    name: str
    per_second: float
    server_us: float
    redis_us: float
    postgres_us: float
    p50_ms: float
    p99_ms: float


class _Round(NamedTuple):
    load: Load
    cpu: Cpu


_Work = Callable[[float], Awaitable[Load]]


async def measure(setting: Setting, plan: Plan) -> list[Figures]:
    """Measure every line; rounds are interleaved, so that a noisy minute hits all of them."""
    rounds: dict[str, list[_Round]] = {}
    subjects = await setting.enroll(plan.flows * plan.rounds + plan.rounds + 2)
    # The first round of each line warms up and does not count.
    for number in range(-1, plan.rounds):
        counts = number >= 0
        seconds = plan.seconds if counts else min(0.3, plan.seconds)
        passing = [subjects.pop() for _ in range(plan.flows if counts else 1)]
        held = await _token_of(setting, subjects.pop() if counts else passing[0])
        wait_until_quiet(setting.service)
        for name, (service, work) in _lines(setting, plan, passing if counts else [], held).items():
            before = service.cpu()
            load = await work(seconds)
            if counts:
                cpu = service.cpu().since(before)
                rounds.setdefault(name, []).append(_Round(load, cpu))
    return [_figures(name, measured) for name, measured in rounds.items()]


async def _token_of(setting: Setting, subject: Subject) -> str:
    async with setting.connection() as connection:
        return await setting.journey.token(connection, CODE, subject)


def _lines(
    setting: Setting, plan: Plan, passing: list[Subject], held: str
) -> dict[str, tuple[Service, _Work]]:
    loop, service, journey = setting.loop, setting.service, setting.journey
    headers = JSON | journey.bank.header
    target = "/access/v1/evaluation"
    allowed, raised = (json.dumps(a_transfer(amount)).encode() for amount in ("50.00", "5000.00"))
    kind, token = form({"token": held})

    def repeat(served: Service, request: bytes, holds: bytes) -> tuple[Service, _Work]:
        def work(seconds: float) -> Awaitable[Load]:
            connections = plan.connections
            return hammer(
                served.port, request, connections=connections, seconds=seconds, holds=holds
            )

        return served, work

    def step_up(amount: str) -> tuple[Service, _Work]:
        return service, lambda _: journey.many(amount, passing, plan.flow_connections)

    introspection = compose("POST", "/oauth2/introspect", kind | journey.bank.header, token)
    return {
        BARE_LOOP: repeat(loop, compose("POST", target, headers, allowed), b"decision"),
        "decision, allow": repeat(
            service, compose("POST", target, headers, allowed), b'"decision":true'
        ),
        "decision, step-up": repeat(
            service, compose("POST", target, headers, raised), b"step_up_ticket"
        ),
        "introspection, JWT": repeat(service, introspection, b'"active":true'),
        "JWKS": repeat(service, compose("GET", "/.well-known/jwks.json", {}), b'"keys"'),
        STEP_UP_CODE: step_up(CODE),
        STEP_UP_PASSKEY: step_up(PASSKEY),
    }


def _figures(name: str, rounds: list[_Round]) -> Figures:
    def middle(of: Callable[[_Round], float]) -> float:
        return median(of(each) for each in rounds)

    return Figures(
        name=name,
        per_second=middle(lambda r: r.load.count / r.load.seconds),
        server_us=middle(lambda r: r.cpu.server / r.load.count / 1000),
        redis_us=middle(lambda r: r.cpu.redis / r.load.count / 1000),
        postgres_us=middle(lambda r: r.cpu.postgres / r.load.count / 1000),
        p50_ms=middle(lambda r: _percentile(r.load.latencies, 0.50) * 1000),
        p99_ms=middle(lambda r: _percentile(r.load.latencies, 0.99) * 1000),
    )


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
