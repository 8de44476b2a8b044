"""What an acknowledged and fenced spend costs beside a bare one: `python -m tests.bench.protocol`.

One process, a primary with two replicas and three Sentinels on this machine, the script of a time
step on fresh keys; the three kinds take turns in one run.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import count
from statistics import median
from typing import NamedTuple

import uvloop

from stepup.adapters.redis import scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import NoFence, SentinelFence
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.shard import OneShard
from tests.support.redis_cluster import running_cluster

ROUNDS = 3
SECONDS = 1.0
CALLERS = (1, 16, 64)
# Replicas that must hold a spend, and whether the Sentinels are asked after it.
KINDS: Mapping[str, tuple[int, bool]] = {
    "script alone": (0, False),
    "+ WAIT 1": (1, False),
    "+ WAIT 1 + fence": (1, True),
}


class Cost(NamedTuple):
    """Rate and median latency of one kind of spend."""

    kind: str
    callers: int
    per_second: float
    p50_ms: float


def measure(url: str, rounds: int = ROUNDS, seconds: float = SECONDS) -> Iterator[Cost]:
    """Measure every kind with every number of callers, in turns."""
    for callers in CALLERS:
        turns: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, protocol in KINDS.items():
                turns[kind].append(uvloop.run(_turn(url, protocol, callers, seconds)))
        for kind, found in turns.items():
            rates, latencies = zip(*found, strict=True)
            yield Cost(kind, callers, median(rates), median(latencies))


async def _turn(
    url: str, protocol: tuple[int, bool], callers: int, seconds: float
) -> tuple[float, float]:
    replicas, fenced = protocol
    resolver = SentinelResolver(SentinelUrl.parse(url), "bench")
    fence = SentinelFence(resolver.sentinels) if fenced else NoFence()
    client = RedisClient(OneShard(resolver, name="bench", replicas=replicas, fence=fence))
    client.start()
    await client.check()
    latencies: list[float] = []
    numbers, end = count(), time.monotonic() + seconds
    prefix = f"su:bench:{time.monotonic_ns()}"

    async def spend_on() -> None:
        while (begun := time.monotonic()) < end:
            key = f"{prefix}:{next(numbers)}"
            await client.spend(scripts.ACCEPT_STEP, [key], [1, "a", 5_000], same_attempt=True)
            latencies.append(time.monotonic() - begun)

    await asyncio.gather(*(spend_on() for _ in range(callers)))
    await client.close()
    return len(latencies) / seconds, median(latencies) * 1000


def main() -> None:
    """Measure and print a table; the ratio is that to the script alone with as many callers."""
    with running_cluster() as cluster:
        alone = 1.0
        for cost in measure(cluster.url):
            alone = cost.per_second if cost.kind == next(iter(KINDS)) else alone
            sys.stdout.write(
                f"{cost.callers:3} callers  {cost.kind:18} {cost.per_second:8.0f}/s"
                f"  {cost.p50_ms:6.2f} ms  {cost.per_second / alone:5.2f}\n"
            )


if __name__ == "__main__":
    main()
