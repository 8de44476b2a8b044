"""A server whose settings contradict the promises is found out."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.embedded.redis_hosts import free_ports
from stepup.adapters.redis.endpoint import Endpoint
from stepup.adapters.redis.operator import tell, until
from stepup.adapters.redis.server_settings import Held, advice, away, contradictions, passing
from stepup.adapters.redis.shard import Replicas
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.engines import temporary_directory
from tests.support.valkey_cluster import ValkeyCluster, running_valkey_cluster

pytestmark = pytest.mark.redis


@contextmanager
def running(**settings: str) -> Iterator[str]:
    with temporary_directory() as directory:
        server = EmbeddedRedis(directory, {k.replace("_", "-"): v for k, v in settings.items()})
        try:
            yield server.url
        finally:
            server.stop()


def state(url: str, **options: object) -> RedisState:
    return RedisState(url, Sealer({1: bytes(32)}, CountingEntropy().bytes), StillClock(), **options)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"maxmemory_policy": "allkeys-lru"}, ["maxmemory-policy is allkeys-lru"]),
        ({"appendonly": "no"}, ["appendonly is no"]),
        (
            {"appendonly": "no", "maxmemory_policy": "volatile-ttl"},
            ["maxmemory-policy is volatile-ttl", "appendonly is no"],
        ),
    ],
    ids=["safe", "evicting", "not persistent", "both"],
)
async def test_names_what_contradicts_the_promises(settings, said):
    with running(**settings) as url:
        async with state(url) as opened:
            found = (await opened.inspect()).contradictions
    assert [text.partition(",")[0] for text in found] == said


SAFE = {"maxmemory-policy": "noeviction", "appendonly": "yes", "maxmemory": "2147483648"}
CLUSTERED = SAFE | {"cluster-enabled": "yes", "cluster-require-full-coverage": "no"}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Held({}, None, 1), []),
        (Held(SAFE, 0, 0), []),
        (Held(SAFE | {"min-replicas-to-write": "1"}, 1, 1), []),
        (Held(SAFE | {"min-replicas-to-write": "1"}, 2, 2), ["min-replicas-to-write is 1"]),
        (Held(CLUSTERED, 0, 0), ["a shard has no replica"]),
        (Held(CLUSTERED | {"min-replicas-to-write": "1"}, 2, 2), []),
        (Held(CLUSTERED | {"min-replicas-to-write": "0"}, 2, 2), ["min-replicas-to-write is 0"]),
    ],
    ids=[
        "hides everything",
        "one node",
        "a replica",
        "fewer than promised",
        "a shard alone",
        "all of a shard hold it anyway",
        "a shard that goes on alone",
    ],
)
def test_weighs_what_a_primary_says(held, said):
    assert [text.partition(",")[0] for text in contradictions(held)] == said


@pytest.mark.parametrize(
    ("connected", "required", "said"),
    [(0, 0, 0), (2, 1, 0), (1, 1, 0), (0, 1, 1), (1, 2, 1), (None, 2, 0)],
)
def test_counts_the_replicas_that_are_connected(connected, required, said):
    assert len(list(passing(Held({}, connected, required)))) == said


@pytest.mark.parametrize(
    ("connected", "said"),
    [(2, 0), (1, 1), (0, 0), (None, 0)],
    ids=["all are there", "one is away", "too few for a spend", "hides it"],
)
def test_names_a_replica_that_is_away_and_not_needed_yet(connected, said):
    assert len(list(away(Held({}, connected, 1, 2)))) == said


def test_advises_a_limit_and_partial_coverage():
    unwise = {"maxmemory": "0", "cluster-require-full-coverage": "yes"}
    assert [text.partition(" ")[0] for text in advice(Held(unwise, None, 0))] == list(unwise)
    assert not list(advice(Held(CLUSTERED, None, 0)))


async def test_is_not_ready_before_enough_replicas_are_connected():
    with running(min_replicas_to_write="1") as url, running(repl_diskless_sync_delay="0") as other:
        async with state(url, replicas=1, refuse_unsafe=True) as opened:
            with pytest.raises(DependencyUnavailableError, match="0 of 1 replicas"):
                await opened.check()
            (port,) = free_ports(1)
            for pair in (("bind", "127.0.0.1"), ("port", port), ("repl-diskless-sync-delay", 0)):
                await opened.client.call("CONFIG", "SET", *pair)
            await tell(Endpoint.parse(other), "REPLICAOF", "127.0.0.1", port)

            async def is_ready() -> bool:
                with contextlib.suppress(DependencyUnavailableError):
                    await opened.check()
                    return True
                return False

            await until(is_ready, 10, "a replica")


async def test_a_replica_that_leaves_later_does_not_take_the_instance_out():
    """Checks and reads go on without replicas; only what is spent is refused."""
    with running(min_replicas_to_write="1") as url:
        async with state(url, replicas=0, refuse_unsafe=True) as opened:
            await opened.check()
            opened.client.shards()[0].replicas = lambda: Replicas(1, 1)
            await opened.check()


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with running_valkey_cluster() as cluster:
        yield cluster


class TestCluster:
    async def test_every_primary_is_asked(self, cluster):
        async with state(cluster.url) as opened:
            assert (await opened.inspect()).contradictions == []
            last = opened.client.shards()[-1]
            await opened.client.call_at(last, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            try:
                seen = await opened.inspect()
            finally:
                await opened.client.call_at(last, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert [text.partition(",")[0] for text in seen.contradictions] == [
            "maxmemory-policy is allkeys-lru"
        ]
        assert seen.is_complete
        assert len(seen.advice) == 1

    async def test_a_shard_that_is_away_leaves_the_others_in_service(self, cluster):
        frozen = cluster.nodes[0]
        async with state(cluster.url, refuse_unsafe=True) as opened:
            await opened.client.known()
            frozen.send(signal.SIGSTOP)
            try:
                async with asyncio.timeout(0.25):
                    await opened.check()
                assert not (await opened.inspect()).is_complete
            finally:
                frozen.send(signal.SIGCONT)


async def test_acknowledgements_need_a_primary_that_stops_alone():
    with running() as url:
        async with state(url, replicas=1) as opened:
            (found,) = (await opened.inspect()).contradictions
    assert found.startswith("min-replicas-to-write is 0")


async def test_a_server_that_hides_its_settings_contradicts_nothing():
    with running() as url:
        async with state(url) as opened:
            rules = ("on", ">pw", "~*", "+@all", "-config")
            await opened.client.call("ACL", "SETUSER", "limited", *rules)
        async with state(f"{url}?username=limited&password=pw") as opened:
            assert (await opened.inspect())[:3] == ([], [], [])


async def test_is_not_ready_on_an_unsafe_server_where_that_is_refused():
    with running(appendonly="no") as url:
        async with state(url, refuse_unsafe=True) as opened:
            with pytest.raises(DependencyUnavailableError, match="appendonly"):
                await opened.check()


async def test_is_ready_with_a_warning_where_it_is_not_refused(capsys):
    with running(appendonly="no") as url:
        async with state(url) as opened:
            await opened.check()
            await opened.check()
    assert capsys.readouterr().out.count("unsafe_redis") == 1


async def test_a_server_that_is_away_is_asked_when_it_is_back():
    with temporary_directory() as directory:
        EmbeddedRedis(directory, {"appendonly": "no"}).stop()
        url = f"unix://{directory.sockets / 'redis.sock'}"
        async with state(url, refuse_unsafe=True) as opened:
            with pytest.raises(DependencyUnavailableError):
                await opened.check()
            server = EmbeddedRedis(directory, {"appendonly": "no"})
            await asyncio.sleep(0.4)  # longer than the pause between two connections
            try:
                with pytest.raises(DependencyUnavailableError, match="appendonly"):
                    await opened.check()
            finally:
                server.stop()
