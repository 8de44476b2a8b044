"""What each part of the spending protocol costs beside a bare script: `python -m tests.bench.protocol`.

One process, a primary with two replicas and three Sentinels and a PostgreSQL that syncs its disk, all
on this machine; the script of a time step on fresh keys. The kinds take turns in one run. Decisions
and introspection follow, under the bare script's settings and under those of all the protocol.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from statistics import median
from typing import NamedTuple

import uvloop

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.redis import scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import NoFence, SentinelFence
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.shard import OneShard
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Ledger, Ports
from stepup.usecases import decide, introspect
from tests.contracts.ledger import a_redemption
from tests.support.engines import temporary_directory
from tests.support.redis_cluster import running_cluster
from tests.support.world import World
from tests.usecases.steps import a_question, issued

ROUNDS = 3
SECONDS = 1.0
CALLERS = (1, 16, 64)


class Protocol(NamedTuple):
    """Which parts are used."""

    replicas: int = 1
    fenced: bool = True
    row: bool = False
    # What `required` does while PostgreSQL is away: once more, and held by both replicas.
    everywhere: bool = False


KINDS: Mapping[str, Protocol] = {
    "script alone": Protocol(replicas=0, fenced=False),
    "+ WAIT 1": Protocol(fenced=False),
    "+ WAIT 1 + fence": Protocol(),
    "+ row in PostgreSQL": Protocol(row=True),
    "required, it is away": Protocol(everywhere=True),
}
NOTHING, EVERYTHING = KINDS["script alone"], KINDS["+ row in PostgreSQL"]
READS: Mapping[str, Protocol] = {"no protocol": NOTHING, "all of it": EVERYTHING}

Work = Callable[[], Awaitable[object]]


class Urls(NamedTuple):
    """Where the engines are."""

    redis: str
    postgres: str


class Cost(NamedTuple):
    """Rate and median latency of one kind of work."""

    kind: str
    callers: int
    per_second: float
    p50_ms: float


class Tools(NamedTuple):
    """What is there to spend with."""

    client: RedisClient
    ledger: Ledger


Making = Callable[[Protocol, Tools], Awaitable[Work]]
Plan = tuple[str, Protocol, Making]


def measure(urls: Urls, rounds: int = ROUNDS, seconds: float = SECONDS) -> Iterator[Cost]:
    """Measure every kind of spend with every number of callers, in turns."""
    for callers in CALLERS:
        plans = [(kind, protocol, spending) for kind, protocol in KINDS.items()]
        yield from _in_turns(urls, plans, callers, rounds, seconds)


def measure_reads(urls: Urls, rounds: int = ROUNDS, seconds: float = SECONDS) -> Iterator[Cost]:
    """Measure decisions and introspection, which the protocol must not touch."""
    for name, reading in (("decision", deciding), ("introspection", introspecting)):
        plans = [(f"{name}, {kind}", protocol, reading) for kind, protocol in READS.items()]
        yield from _in_turns(urls, plans, 16, rounds, seconds)


async def spending(protocol: Protocol, tools: Tools) -> Work:
    """Spend one time step of a stranger."""
    run = secrets.token_hex(8)
    spent = iter(range(1 << 62))

    async def spend() -> None:
        key, args = f"su:bench:{run}:{next(spent)}", [1, "a", 5_000]
        await tools.client.spend(scripts.ACCEPT_STEP, [key], args, same_attempt=True)
        if protocol.row:
            # One that is late would go to the outbox; the waiting is in the figures.
            with suppress(DependencyUnavailableError):
                await tools.ledger.record(a_redemption())
        if protocol.everywhere:
            await tools.client.spend(
                scripts.ACCEPT_STEP, [key], args, same_attempt=True, everywhere=True
            )

    return spend


async def deciding(_protocol: Protocol, tools: Tools) -> Work:
    """Decide about a transfer that needs a step-up."""
    world, ports = await _world(tools)
    return lambda: decide.decide(ports, world.bank, a_question())


async def introspecting(_protocol: Protocol, tools: Tools) -> Work:
    """Ask about an active once-only token."""
    world, ports = await _world(tools)
    token = (await issued(world)).text
    return lambda: introspect.introspect(ports, world.bank, token)


async def _world(tools: Tools) -> tuple[World, Ports]:
    world = World()
    await world.enroll_app()
    state = world.ports.state._replace(tokens=RedisTokenStore(tools.client))
    return world, world.ports._replace(state=state)


def _in_turns(
    urls: Urls, plans: Sequence[Plan], callers: int, rounds: int, seconds: float
) -> Iterator[Cost]:
    turns: dict[str, list[tuple[float, float]]] = {kind: [] for kind, *_ in plans}
    for _ in range(rounds):
        for kind, protocol, making in plans:
            turn = _turn(urls, protocol, making, callers, seconds)
            turns[kind].append(uvloop.run(turn))
    for kind, found in turns.items():
        rates, latencies = zip(*found, strict=True)
        yield Cost(kind, callers, median(rates), median(latencies))


async def _turn(
    urls: Urls, protocol: Protocol, making: Making, callers: int, seconds: float
) -> tuple[float, float]:
    async with opened(urls, protocol) as tools:
        work = await making(protocol, tools)
        await work()
        latencies: list[float] = []
        end = time.monotonic() + seconds

        async def go_on() -> None:
            while (begun := time.monotonic()) < end:
                await work()
                latencies.append(time.monotonic() - begun)

        await asyncio.gather(*(go_on() for _ in range(callers)))
    return len(latencies) / seconds, median(latencies) * 1000


@asynccontextmanager
async def opened(urls: Urls, protocol: Protocol) -> AsyncIterator[Tools]:
    """Open what a kind of spend needs."""
    resolver = SentinelResolver(SentinelUrl.parse(urls.redis), "bench")
    fence = SentinelFence(resolver.sentinels) if protocol.fenced else NoFence()
    shard = OneShard(
        resolver, name="bench", replicas=protocol.replicas, all_replicas=2, fence=fence
    )
    client = RedisClient(shard)
    database = PostgresDatabase(urls.postgres, Sealer({1: bytes(32)}, secrets.token_bytes))
    async with AsyncExitStack() as stack:
        client.start()
        stack.push_async_callback(client.close)
        stack.push_async_callback(database.close)
        await client.check()
        yield Tools(client, database.ledger)


def main() -> None:
    """Measure and print; the ratio is that to the first kind with as many callers."""
    with temporary_directory() as directory, running_cluster() as cluster:
        postgres = EmbeddedPostgres(directory)
        try:
            migrate.upgrade(postgres.url)
            urls, first = Urls(cluster.url, postgres.url), 1.0
            begins = ("script alone", "decision, no protocol", "introspection, no protocol")
            for cost in (*measure(urls), *measure_reads(urls)):
                first = cost.per_second if cost.kind in begins else first
                sys.stdout.write(
                    f"{cost.callers:3} callers  {cost.kind:27} {cost.per_second:8.0f}/s"
                    f"  {cost.p50_ms:6.2f} ms  {cost.per_second / first:5.2f}\n"
                )
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
