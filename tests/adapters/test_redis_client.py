"""The two connections: what leaves together, what repeats, and what nobody may know."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis import client as client_module
from stepup.adapters.redis import scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import OF_A_SERVER, Endpoint, OneNode, connect
from stepup.adapters.redis.retry_budget import RetryBudget
from stepup.adapters.redis.shard import OneShard
from stepup.domain.errors import (
    DependencyUnavailableError,
    OutcomeUnknownError,
)
from tests.support.builders import an_attempt
from tests.support.engines import temporary_directory
from tests.support.proxy import Proxy, running_proxy

pytestmark = pytest.mark.redis

BUDGET = client_module.BUDGET
COMMAND_TIMEOUT = OF_A_SERVER.command


@pytest.fixture
def directory() -> Iterator[DataDirectory]:
    with temporary_directory() as directory:
        yield directory


@pytest.fixture
def server(directory: DataDirectory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(directory, {"appendfsync": "no"})
    yield server
    os.kill(server.pid, signal.SIGCONT)
    server.stop()


async def open_client(url: str, replicas: int = 0, all_replicas: int = 0) -> RedisClient:
    node = OneNode(Endpoint.parse(url))
    client = RedisClient(OneShard(node, name="test", replicas=replicas, all_replicas=all_replicas))
    client.start()
    await client.check()
    return client


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    client = await open_client(redis_url)
    yield client
    await client.close()


@pytest.fixture
async def own(server: EmbeddedRedis) -> AsyncIterator[RedisClient]:
    """A client of a server that the test may break."""
    client = await open_client(server.url)
    yield client
    await client.close()


@pytest.fixture
async def proxy(redis_url: str, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running_proxy(redis_url, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy) -> AsyncIterator[RedisClient]:
    client = await open_client(proxy.url)
    yield client
    await client.close()


async def remember(client: RedisClient, key: str, attempt: str = "a") -> str:
    """Spend something: the simplest script that tells attempts apart."""
    reply = await client.spend(
        scripts.REMEMBER_JTI, [f"su:test:{key}"], [attempt, 60_000], same_attempt=True
    )
    return reply.status


class TestTogether:
    async def test_commands_of_one_loop_turn_leave_in_one_write(self, proxy, proxied):
        proxy.writes.clear()
        replies = await asyncio.gather(*(proxied.call("ECHO", f"{i}") for i in range(100)))
        assert replies == [b"%d" % i for i in range(100)]
        assert len(proxy.writes) == 1

    async def test_spends_that_arrive_during_a_round_are_the_next_one(self, proxy, proxied):
        proxy.hold_replies()
        proxy.writes.clear()
        spends = [asyncio.create_task(remember(proxied, f"{an_attempt()}")) for _ in range(3)]
        await asyncio.sleep(0.05)
        spends += [asyncio.create_task(remember(proxied, f"{an_attempt()}")) for _ in range(300)]
        await asyncio.sleep(0.05)
        assert (len(proxy.writes), proxy.commands(b"EVALSHA")) == (1, 3)

        proxy.replies_flow.set()

        assert await asyncio.gather(*spends) == ["ok"] * 303
        assert proxy.commands(b"EVALSHA") == 303

    async def test_reads_do_not_wait_for_a_round(self, proxy, proxied, redis_url):
        async with asyncio.timeout(1):
            blocked = asyncio.create_task(
                asyncio.wait_for(
                    proxied.shards()[0].spending.send(("BLPOP", "su:test:none", "0.3"), 1e9), 2
                )
            )
            await asyncio.sleep(0.02)
            before = time.monotonic()
            await proxied.call("ECHO", "quick")
            assert time.monotonic() - before < 0.2
            await blocked

    async def test_both_connections_load_every_script_in_one_write(self, proxy, proxied):
        loads = [data for data in proxy.writes if b"SCRIPT" in data]
        assert len(loads) == 2
        assert all(data.count(b"$4\r\nLOAD\r\n") == len(scripts.ALL) for data in loads)

    async def test_a_flushed_script_is_loaded_again(self, own):
        await own.call("SCRIPT", "FLUSH")
        assert await remember(own, "1") == "ok"
        reply = await own.run(scripts.READ_HASH, ["su:test:none"])
        assert reply.status == "gone"


class TestCancellation:
    async def test_a_cancelled_caller_leaves_the_connection_in_step(self, proxy, proxied):
        proxy.hold_replies()
        left = asyncio.create_task(proxied.call("ECHO", "left"))
        await asyncio.sleep(0.02)
        left.cancel()
        stayed = asyncio.create_task(proxied.call("ECHO", "stayed"))
        await asyncio.sleep(0.02)
        proxy.replies_flow.set()
        assert await stayed == b"stayed"

    async def test_what_is_cancelled_in_the_queue_is_never_written(self, proxy, proxied):
        proxy.hold_replies()
        first = asyncio.create_task(remember(proxied, an_attempt()))
        await asyncio.sleep(0.02)
        key = an_attempt()
        left = asyncio.create_task(remember(proxied, key))
        await asyncio.sleep(0.02)
        left.cancel()
        proxy.replies_flow.set()
        await first
        assert not await proxied.call("EXISTS", f"su:test:{key}")


class TestTimeouts:
    async def test_a_frozen_server_fails_everything_in_flight_fast(self, server, own):
        os.kill(server.pid, signal.SIGSTOP)
        begun = time.monotonic()

        results = await asyncio.gather(
            *(own.call("ECHO", "x") for _ in range(50)),
            *(remember(own, f"{i}") for i in range(50)),
            return_exceptions=True,
        )

        assert time.monotonic() - begun < COMMAND_TIMEOUT + 0.3
        assert all(isinstance(r, DependencyUnavailableError) for r in results[:50])
        assert all(isinstance(r, OutcomeUnknownError) for r in results[50:])

    async def test_a_server_that_is_away_for_long_is_not_waited_for(self, server, own):
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(DependencyUnavailableError):
            await own.call("ECHO", "x")
        begun = time.monotonic()
        with pytest.raises(DependencyUnavailableError):
            await own.call("ECHO", "x")
        assert time.monotonic() - begun < BUDGET + 0.3
        begun = time.monotonic()
        with pytest.raises(DependencyUnavailableError):
            await own.call("ECHO", "x")
        assert time.monotonic() - begun < 0.05

    async def test_goes_on_when_the_server_wakes_up(self, server, own):
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(OutcomeUnknownError):
            await remember(own, "1", "attempt")
        os.kill(server.pid, signal.SIGCONT)
        assert await remember(own, "1", "attempt") == "ok"
        assert await remember(own, "1", "another") == "seen"

    async def test_a_connection_that_timed_out_is_never_used_again(self, proxy, proxied):
        before = (await proxied.shards()[0].plain.line.wire(lambda: None)).generation
        proxy.hold_replies()
        with pytest.raises(DependencyUnavailableError):
            await proxied.call("ECHO", "late")
        proxy.replies_flow.set()
        assert await proxied.call("ECHO", "fresh") == b"fresh"
        assert (await proxied.shards()[0].plain.line.wire(lambda: None)).generation > before

    async def test_an_idle_connection_is_kept(self, client):
        before = await client.shards()[0].plain.line.wire(lambda: None)
        await client.call("ECHO", "x")
        await asyncio.sleep(COMMAND_TIMEOUT + 0.2)
        await client.call("ECHO", "x")
        assert await client.shards()[0].plain.line.wire(lambda: None) is before

    async def test_a_busy_connection_outlives_the_time_out(self, client):
        before = await client.shards()[0].plain.line.wire(lambda: None)
        until = time.monotonic() + COMMAND_TIMEOUT + 0.2
        while time.monotonic() < until:
            await client.call("ECHO", "x")
        assert await client.shards()[0].plain.line.wire(lambda: None) is before


class TestBreaks:
    async def test_reconnects_after_a_restart(self, directory):
        server = EmbeddedRedis(directory, {"appendfsync": "always"})
        client = await open_client(server.url)
        assert await remember(client, "1", "attempt") == "ok"
        server.stop()
        server = EmbeddedRedis(directory, {"appendfsync": "always"})
        try:
            assert await remember(client, "1", "another") == "seen"
            assert await remember(client, "1", "attempt") == "ok"
        finally:
            await client.close()
            server.stop()

    async def test_an_instance_can_start_before_its_server(self, directory):
        server = EmbeddedRedis(directory)
        server.stop()
        client = RedisClient(OneShard(OneNode(Endpoint.parse(server.url)), name="test", replicas=0))
        client.start()
        early = asyncio.create_task(client.call("ECHO", "early"))
        await asyncio.sleep(0.2)
        server = EmbeddedRedis(directory)
        try:
            assert await early == b"early"
        finally:
            await client.close()
            server.stop()

    async def test_the_same_attempt_is_repeated_when_the_connection_breaks(self, proxy, proxied):
        """The script ran, its reply was lost; only because of the attempt is the answer ok."""
        key = an_attempt()
        proxy.hold_replies()
        spend = asyncio.create_task(remember(proxied, key, "attempt"))
        await asyncio.sleep(0.05)
        proxy.cut()
        proxy.replies_flow.set()
        assert await spend == "ok"
        assert await remember(proxied, key, "another") == "seen"

    async def test_a_spend_without_an_attempt_is_not_repeated(self, proxy, proxied):
        key = f"su:test:{an_attempt()}"
        proxy.hold_replies()
        spend = asyncio.create_task(proxied.spend(scripts.APPEND_ENTRIES, [key], ["{}"]))
        await asyncio.sleep(0.05)
        proxy.cut()
        proxy.replies_flow.set()
        with pytest.raises(OutcomeUnknownError):
            await spend
        assert await proxied.call("XLEN", key) == 1
        await proxied.call("DEL", key)

    async def test_what_was_queued_is_executed_later_and_once(self, proxy, proxied):
        key = f"su:test:{an_attempt()}"
        proxy.hold_replies()
        first = asyncio.create_task(remember(proxied, an_attempt()))
        await asyncio.sleep(0.02)
        queued = asyncio.create_task(proxied.spend(scripts.APPEND_ENTRIES, [key], ["{}"]))
        await asyncio.sleep(0.02)
        proxy.cut()
        proxy.replies_flow.set()
        assert (await queued).status == "ok"
        assert await first == "ok"
        assert await proxied.call("XLEN", key) == 1
        await proxied.call("DEL", key)

    async def test_a_full_queue_refuses_at_once(self, proxied):
        proxied.shards()[0].plain.queue._limit = 10
        results = await asyncio.gather(
            *(proxied.call("ECHO", f"{i}") for i in range(20)), return_exceptions=True
        )
        assert results[:10] == [b"%d" % i for i in range(10)]
        assert all(isinstance(r, DependencyUnavailableError) for r in results[10:])

    async def test_closing_fails_what_is_under_way(self, proxy, proxied):
        proxy.hold_replies()
        spends = [asyncio.create_task(remember(proxied, an_attempt())) for _ in range(2)]
        await asyncio.sleep(0.02)
        spends.append(asyncio.create_task(remember(proxied, an_attempt())))
        reads = [asyncio.create_task(proxied.call("ECHO", "x")) for _ in range(3)]
        await asyncio.sleep(0.02)
        await proxied.close()
        results = await asyncio.gather(*spends, *reads, return_exceptions=True)
        assert [type(r) for r in results] == [
            *(OutcomeUnknownError,) * 2,
            *(DependencyUnavailableError,) * 4,
        ]


class TestRefusals:
    async def test_a_replica_refuses_and_nothing_was_executed(self, server, own):
        await tell(server.url, "REPLICAOF", "127.0.0.1", "1")
        begun = time.monotonic()
        with pytest.raises(DependencyUnavailableError):
            await remember(own, "1")
        with pytest.raises(DependencyUnavailableError):
            await own.run(scripts.READ_HASH, ["su:test:1"])
        assert time.monotonic() - begun < 2 * BUDGET + 1

        await tell(server.url, "REPLICAOF", "NO", "ONE")
        # Longer than its pause between two connections; until then it refuses at once.
        await asyncio.sleep(0.4)
        assert await remember(own, "1") == "ok"

    async def test_waits_out_a_short_demotion(self, server, own):
        await tell(server.url, "REPLICAOF", "127.0.0.1", "1")
        spend = asyncio.create_task(remember(own, "1"))
        await asyncio.sleep(0.2)
        await tell(server.url, "REPLICAOF", "NO", "ONE")
        assert await spend == "ok"

    async def test_too_few_replicas_refuse_before_any_effect(self, own):
        await own.call("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(DependencyUnavailableError):
            await remember(own, "1", "attempt")
        await own.call("CONFIG", "SET", "min-replicas-to-write", "0")
        assert await remember(own, "1", "another") == "ok"

    async def test_no_memory_refuses_before_any_effect(self, own):
        await own.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(DependencyUnavailableError):
            await remember(own, "1", "attempt")
        await own.call("CONFIG", "SET", "maxmemory", "0")
        assert await remember(own, "1", "another") == "ok"

    async def test_an_error_nobody_foresaw_grants_nothing(self, own):
        await own.call("SET", "su:test:1", "not a hash")
        with pytest.raises(OutcomeUnknownError):
            await remember(own, "1")
        with pytest.raises(DependencyUnavailableError):
            await own.call("HGET", "su:test:1", "v")


class TestBudget:
    """At most a tenth of the requests are repeats, or we would keep a sick server down."""

    async def test_repeats_end_with_the_budget(self, own, server):
        client = RedisClient(own._topology, RetryBudget("test", capacity=2))
        await own.call("CONFIG", "SET", "maxmemory", "1")
        sent = await calls_of(own)

        results = await asyncio.gather(
            *(remember(client, f"{i}") for i in range(10)), return_exceptions=True
        )

        assert all(isinstance(r, DependencyUnavailableError) for r in results)
        assert 10 <= await calls_of(own) - sent <= 10 + 2 + 1

    async def test_a_whole_second_of_trouble_costs_a_tenth_more_requests(self, own):
        client = RedisClient(own._topology, RetryBudget("test", capacity=1))
        await own.call("CONFIG", "SET", "maxmemory", "1")
        sent, requests = await calls_of(own), 500
        for batch in range(10):
            await asyncio.gather(
                *(remember(client, f"{batch}.{i}") for i in range(requests // 10)),
                return_exceptions=True,
            )
        assert requests <= await calls_of(own) - sent <= 1.1 * requests + 20

    async def test_what_was_never_written_costs_nothing(self, own):
        client = RedisClient(own._topology, RetryBudget("test", capacity=0))
        await own.call("SCRIPT", "FLUSH")
        assert await remember(client, "1") == "ok"

    async def test_without_a_budget_a_lost_reply_is_unknown(self, proxy, proxied):
        client = RedisClient(proxied._topology, RetryBudget("test", capacity=0))
        proxy.hold_replies()
        spend = asyncio.create_task(remember(client, an_attempt(), "attempt"))
        await asyncio.sleep(0.05)
        proxy.cut()
        proxy.replies_flow.set()
        with pytest.raises(OutcomeUnknownError):
            await spend


async def calls_of(client: RedisClient) -> int:
    """Count the scripts that the server was asked to run, refused ones too."""
    said = (await client.call("INFO", "commandstats")).decode()
    found = re.search(r"cmdstat_evalsha:calls=(\d+).*rejected_calls=(\d+),failed", said)
    return int(found[1]) + int(found[2]) if found else 0


class TestReplicas:
    @pytest.fixture
    def replica(self, server: EmbeddedRedis) -> Iterator[EmbeddedRedis]:
        # A port on the primary: a replica reaches it by address, never by socket.
        with temporary_directory() as directory:
            replica = EmbeddedRedis(directory, {"repl-diskless-sync-delay": "0"})
            yield replica
            os.kill(replica.pid, signal.SIGCONT)
            replica.stop()

    @pytest.fixture
    async def acknowledged(
        self, own: RedisClient, server: EmbeddedRedis, replica: EmbeddedRedis
    ) -> AsyncIterator[RedisClient]:
        port = await free_port()
        await own.call("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        await own.call("CONFIG", "SET", "bind", "127.0.0.1")
        await own.call("CONFIG", "SET", "port", port)
        await tell(replica.url, "REPLICAOF", "127.0.0.1", port)
        client = await open_client(server.url, replicas=1)
        async with asyncio.timeout(10):
            while True:
                try:
                    await remember(client, "first")
                    break
                except OutcomeUnknownError:
                    await asyncio.sleep(0.05)
        yield client
        await client.close()

    async def test_a_spend_counts_when_a_replica_holds_it(self, acknowledged, replica):
        assert await remember(acknowledged, "1", "attempt") == "ok"
        assert await tell(replica.url, "EXISTS", "su:test:1") == 1

    async def test_one_wait_acknowledges_a_whole_round(self, acknowledged, server, tmp_path):
        async with running_proxy(server.url, tmp_path) as proxy:
            client = await open_client(proxy.url, replicas=1)
            proxy.writes.clear()
            granted = await asyncio.gather(*(remember(client, f"r{i}") for i in range(200)))
            assert granted == ["ok"] * 200
            assert proxy.commands(b"WAIT") == 1
            await client.close()

    async def test_a_replica_that_is_away_costs_one_long_round(self, acknowledged, server):
        client = await open_client(server.url, replicas=1, all_replicas=2)
        loop, took = asyncio.get_running_loop(), []
        for n in range(5):
            begun = loop.time()
            assert await remember(client, f"one-of-two-{n}") == "ok"
            took.append(loop.time() - begun)
        await client.close()
        assert took[0] > 0.14
        assert min(took[1:]) < 0.1

    async def test_without_an_acknowledgement_nobody_knows(self, acknowledged, replica):
        os.kill(replica.pid, signal.SIGSTOP)
        with pytest.raises(OutcomeUnknownError):
            await remember(acknowledged, "1", "attempt")

        os.kill(replica.pid, signal.SIGCONT)
        assert await remember(acknowledged, "1", "attempt") == "ok"
        assert await remember(acknowledged, "1", "another") == "seen"

    async def test_a_refusal_does_not_wait_for_replicas(self, acknowledged, replica):
        await remember(acknowledged, "1", "attempt")
        os.kill(replica.pid, signal.SIGSTOP)
        begun = time.monotonic()
        assert await remember(acknowledged, "1", "another") == "seen"
        assert time.monotonic() - begun < 0.1

    async def test_frozen_replicas_do_not_slow_reads(self, acknowledged, replica):
        os.kill(replica.pid, signal.SIGSTOP)
        spends = [asyncio.create_task(remember(acknowledged, f"s{i}")) for i in range(5)]
        begun = time.monotonic()
        for _ in range(50):
            await acknowledged.call("ECHO", "x")
        assert time.monotonic() - begun < 0.3
        await asyncio.gather(*spends, return_exceptions=True)

    async def test_nobody_is_promised_replicas_that_do_not_exist(self, server):
        client = await open_client(server.url, replicas=1)
        with pytest.raises(OutcomeUnknownError):
            await remember(client, "1")
        await client.close()


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://localhost:6379/0",
            "rediss://user:secret@redis.example:6380/1",
            "unix:///run/redis.sock",
            "redis+unix:///run/redis.sock",
            "redis://localhost",
        ],
    )
    def test_knows_the_forms_of_one_node(self, url):
        endpoint = Endpoint.parse(url)
        assert "secret" not in f"{endpoint!r} {endpoint}"

    def test_several_hosts_need_a_name(self):
        with pytest.raises(ValueError, match="redis\\+sentinel"):
            Endpoint.parse("redis://a:6379,b:6379")

    @pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis-cluster://x"])
    def test_refuses_what_is_no_redis_url(self, url):
        with pytest.raises(ValueError, match="a Redis URL begins with"):
            Endpoint.parse(url)

    def test_refuses_an_option_that_nobody_knows(self):
        with pytest.raises(TypeError):
            Endpoint.parse("redis://localhost?socket_timeoot=3")

    async def test_authenticates(self, directory):
        server = EmbeddedRedis(directory, {"port": str(await free_port())})
        admin = await open_client(server.url)
        await admin.call("CONFIG", "SET", "requirepass", "se:cret/")
        client = await open_client(server.url + "?password=se:cret/")
        assert await client.call("ECHO", "x") == b"x"
        await client.close()
        await admin.close()
        server.stop()


async def tell(url: str, *command: str | int) -> object:
    """Send a command to a server that need not be a primary, as an operator does."""
    connection = Endpoint.parse(url).new_connection("operator")
    await connect(connection)
    await connection.send_command(*command)
    reply = await connection.read_response()
    await connection.disconnect()
    return reply


async def free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("poison", ["su:\ud800", None, 1 + 1j], ids=repr)
async def test_what_cannot_be_encoded_stops_nobody_else(client: RedisClient, poison):
    async with asyncio.timeout(5):
        for _ in range(2):
            with pytest.raises(DependencyUnavailableError):
                await client.call("SET", "su:x", poison)
            with pytest.raises(DependencyUnavailableError):
                await client.spend(scripts.TAKE_ONCE, ["su:{x}:x"], [poison])
        await client.call("SET", "su:{x}:x", "after")
        assert (await client.spend(scripts.TAKE_ONCE, ["su:{x}:x"])).values == [b"after"]
