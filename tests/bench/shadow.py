"""What a shadow adds to a decision over HTTP: `python -m tests.bench.shadow`.

One service with one worker; rounds without and with a shadow take turns in one run. The figure is
CPU time of the server for one decision, the least of all rounds: what else the machine does can
only add to it.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import NamedTuple

import uvloop

from tests.bench.client import compose, hammer
from tests.bench.journey import JSON
from tests.bench.setting import Setting, everything
from tests.http.flow import a_transfer

ROUNDS = 10
SECONDS = 0.7
CONNECTIONS = 16
AMOUNTS = {"decision, allow": "50.00", "decision, step-up": "5000.00"}
# Two seconds are what every instance needs to hear of it; one more to settle.
_HEARD = 3.0


class ShadowCost(NamedTuple):
    """CPU µs of the server for one decision without and with a shadow."""

    name: str
    without_us: float
    with_us: float
    evaluated: float

    @property
    def more(self) -> float:
        """By which part a decision costs more."""
        return self.with_us / self.without_us - 1


async def measure(setting: Setting, rounds: int, seconds: float) -> list[ShadowCost]:
    """Measure every kind of decision in turns."""
    draft = await _draft(setting)
    costs: dict[tuple[str, bool], list[float]] = {}
    evaluated = 0
    total = 0
    for number in range(-1, rounds):
        for shadowed in (False, True):
            await _mark(setting, draft, "PUT" if shadowed else "DELETE")
            before = await _seen(setting) if shadowed else 0
            answered = 0
            for name, amount in AMOUNTS.items():
                count, cost = await _turn(setting, amount, seconds)
                answered += count
                if number >= 0:
                    costs.setdefault((name, shadowed), []).append(cost)
            if shadowed and number >= 0:
                await asyncio.sleep(1.5)
                evaluated += await _seen(setting) - before
                total += answered
    return [
        ShadowCost(
            name,
            min(costs[name, False]),
            min(costs[name, True]),
            evaluated / total,
        )
        for name in AMOUNTS
    ]


async def _turn(setting: Setting, amount: str, seconds: float) -> tuple[int, float]:
    body = json.dumps(a_transfer(amount)).encode()
    request = compose("POST", "/access/v1/evaluation", JSON | setting.journey.bank.header, body)
    before = setting.service.cpu()
    load = await hammer(
        setting.service.port, request, connections=CONNECTIONS, seconds=seconds, holds=b"decision"
    )
    # What waits for the shadow belongs to these decisions too.
    await asyncio.sleep(0.3)
    return load.count, setting.service.cpu().since(before).server / load.count / 1000


async def _draft(setting: Setting) -> int:
    body = json.dumps({"name": "shadow"}).encode()
    async with setting.connection() as connection:
        target = "/v1/admin/policy/drafts"
        answer = await connection.expect(201, "POST", target, _headers(setting), body)
    return int(json.loads(answer.body)["id"])


async def _mark(setting: Setting, draft: int, method: str) -> None:
    async with setting.connection() as connection:
        target = f"/v1/admin/policy/drafts/{draft}/shadow"
        await connection.expect(204, method, target, _headers(setting), b"")
    await asyncio.sleep(_HEARD)


async def _seen(setting: Setting) -> int:
    async with setting.connection() as connection:
        target = "/v1/admin/policy/shadow"
        answer = await connection.expect(200, "GET", target, _headers(setting), b"")
    return int(json.loads(answer.body)["decisions"])


def _headers(setting: Setting) -> Mapping[str, str]:
    return JSON | {"authorization": f"Bearer {setting.running.ready['admin']['token']}"}


def main() -> None:
    """Measure and print."""
    rounds, seconds = (1, 0.2) if "--quick" in sys.argv else (ROUNDS, SECONDS)
    with everything() as setting:
        costs = uvloop.run(measure(setting, rounds, seconds))
    sys.stdout.write(f"{'CPU µs of the server':<24}{'without':>9}{'with':>9}{'more':>8}\n")
    for cost in costs:
        sys.stdout.write(
            f"{cost.name:<24}{cost.without_us:>9.1f}{cost.with_us:>9.1f}{cost.more:>8.1%}\n"
        )
    sys.stdout.write(f"evaluated {costs[0].evaluated:.0%} of the decisions\n")


if __name__ == "__main__":
    main()
