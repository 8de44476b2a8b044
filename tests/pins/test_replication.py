"""What we rest on and nobody promises: WAIT, scripts and replicas (RELIABILITY section 12)."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Address
from tests.support.redis_cluster import Node, RedisCluster, engines, tell, until

pytestmark = [pytest.mark.redis, pytest.mark.pin]

WRITES = "#!lua\nredis.call('SET', KEYS[1], 'x')\nreturn 'ok'"
READS = "#!lua\nreturn redis.call('GET', KEYS[1])"


@pytest.fixture
async def trio(replicas_of_module: RedisCluster) -> AsyncIterator[RedisCluster]:
    """A primary, `nodes[0]`, and two replicas in step; mended afterwards."""
    await in_step(replicas_of_module)
    yield replicas_of_module
    primary, *others = replicas_of_module.nodes
    for node in replicas_of_module.nodes:
        node.send(signal.SIGCONT)
    await tell(primary.address, "REPLICAOF", "NO", "ONE")
    for name, value in (("min-replicas-to-write", 1), ("maxmemory", 0)):
        await tell(primary.address, "CONFIG", "SET", name, value)
    for node in others:
        await tell(node.address, "REPLICAOF", *primary.address)


async def in_step(trio: RedisCluster) -> None:
    async def both_hold_all() -> bool:
        _, offset, replicas = await tell(trio.nodes[0].address, "ROLE")
        return len(replicas) == 2 and all(int(each[2]) >= max(offset, 1) for each in replicas)

    await until(both_hold_all, 15, "replicas in step")


def freeze_replicas(trio: RedisCluster) -> None:
    for node in trio.nodes[1:]:
        node.send(signal.SIGSTOP)


async def version(address: Address) -> tuple[str, int]:
    """The kind of server and the first number of its version."""
    hello = await tell(address, "HELLO", 3)
    info = (await tell(address, "INFO", "server")).decode()
    kind = "valkey" if "valkey_version" in info else hello[b"server"].decode()
    text = info.partition(f"{kind}_version:")[2]
    return kind, int(text.partition(".")[0])


class TestWait:
    async def test_p1_says_nothing_about_another_connection(self, trio, wire):
        primary = trio.nodes[0].address
        writer, idle = await wire(primary), await wire(primary)
        # Both replicas follow by now; a replica that is still joining counts for nobody.
        await writer.ask("SET", "p1", 0)
        assert await writer.ask("WAIT", 2, 5_000) == 2
        freeze_replicas(trio)
        await writer.ask("SET", "p1", 1)
        assert await idle.ask("WAIT", 2, 300) == 2
        assert await writer.ask("WAIT", 2, 300) == 0

    async def test_p2_a_repetition_that_writes_is_not_acknowledged_falsely(self, trio, wire):
        primary = trio.nodes[0].address
        freeze_replicas(trio)
        await (await wire(primary)).ask("EVAL", WRITES, 1, "p2")
        again = await wire(primary)
        await again.ask("EVAL", WRITES, 1, "p2")
        assert await again.ask("WAIT", 2, 300) == 0

    async def test_p2_a_repetition_that_reads_is(self, trio, wire):
        primary = trio.nodes[0].address
        freeze_replicas(trio)
        await (await wire(primary)).ask("EVAL", WRITES, 1, "p2")
        again = await wire(primary)
        assert await again.ask("EVAL", READS, 1, "p2") == b"x"
        # Redis 7.0 took every script for a write; whoever relied on that was deceived later.
        lies = await version(primary) != ("redis", 7)
        assert await again.ask("WAIT", 2, 300) == (2 if lies else 0)

    async def test_p3_in_a_transaction_it_does_not_block_and_proves_nothing(self, trio, wire):
        one = await wire(trio.nodes[0].address)
        freeze_replicas(trio)
        begun = time.monotonic()
        await one.write(("MULTI",), ("SET", "p3", 1), ("WAIT", 2, 2000), ("EXEC",))
        replies = [await one.read() for _ in range(4)]
        assert time.monotonic() - begun < 0.5
        assert replies[3][0] == b"OK"
        assert replies[3][1] == 2, "nobody held it"

    async def test_p4_one_covers_the_round_and_blocks_what_is_behind(self, trio, wire):
        primary, replica, _ = trio.nodes
        one = await wire(primary.address)
        freeze_replicas(trio)
        begun = time.monotonic()
        sets = [("SET", f"p4-{i}", 1) for i in range(20)]
        await one.write(*sets, ("WAIT", 1, 300), ("PING",))
        assert [await one.read() for _ in sets] == [b"OK"] * 20
        assert time.monotonic() - begun < 0.2
        assert await one.read() == 0
        assert await one.read() == b"PONG"
        assert time.monotonic() - begun >= 0.29

        for node in trio.nodes[1:]:
            node.send(signal.SIGCONT)
        await one.write(
            *((*command[:1], f"{command[1]}b", 1) for command in sets), ("WAIT", 2, 3000)
        )
        assert [await one.read() for _ in range(21)][-1] == 2
        names = [f"p4-{i}b" for i in range(20)]
        assert await tell(replica.address, "EXISTS", *names) == 20

    async def test_p7_a_demotion_ends_it_and_the_connection(self, trio, wire):
        primary, other, _ = trio.nodes
        one = await wire(primary.address)
        freeze_replicas(trio)
        await one.write(("SET", "p7", 1), ("WAIT", 2, 5000))
        assert await one.read() == b"OK"
        await asyncio.sleep(0.05)
        await tell(primary.address, "REPLICAOF", *other.address)
        said = await one.read()
        assert str(said).startswith("UNBLOCKED")
        with pytest.raises(RedisError):
            await one.ask("PING")


class TestShebang:
    async def test_p8_a_replica_refuses_even_to_read(self, trio, wire):
        one = await wire(trio.nodes[1].address)
        assert "READONLY" in refusal(await one.ask("EVAL", WRITES, 1, "p8"))
        assert "READONLY" in refusal(await one.ask("EVAL", READS, 1, "p8"))

    async def test_p8_without_replicas_nothing_happens(self, trio, wire):
        one = await wire(trio.nodes[0].address)
        await one.ask("DEL", "p8")
        await one.ask("CONFIG", "SET", "min-replicas-to-write", 3)
        assert "NOREPLICAS" in refusal(await one.ask("EVAL", WRITES, 1, "p8"))
        assert await one.ask("EXISTS", "p8") == 0

    async def test_p8_without_memory_nothing_happens(self, trio, wire):
        one = await wire(trio.nodes[0].address)
        await one.ask("DEL", "p8")
        await one.ask("CONFIG", "SET", "maxmemory", 1)
        assert "OOM" in refusal(await one.ask("EVAL", WRITES, 1, "p8"))
        assert await one.ask("EXISTS", "p8") == 0

    async def test_p10_scripts_are_not_replicated(self, trio, wire):
        primary, replica, _ = trio.nodes
        one = await wire(primary.address)
        sha = await one.ask("SCRIPT", "LOAD", "#!lua\nreturn 'p10'")
        await one.ask("SET", "p10", 1)
        assert await one.ask("WAIT", 2, 3000) == 2
        assert await one.ask("SCRIPT", "EXISTS", sha) == [1]
        assert await tell(replica.address, "SCRIPT", "EXISTS", sha) == [0]


class TestCluster:
    @pytest.fixture
    def node(self, engine: str, replicas_of_module: RedisCluster) -> Iterator[Node]:
        folder = Path(tempfile.mkdtemp(prefix="stepup-slots-"))
        port = replicas_of_module.nodes[0].address[1]
        node = Node("127.0.0.14", (port, port + 1), engines()[engine], folder / "node")
        # The usual bus port, 10,000 above, does not exist for a high port.
        cluster = {"cluster-enabled": "yes", "cluster-port": str(port - 2)}
        node.start(None, {**cluster, "protected-mode": "no"})
        yield node
        node.stop()
        shutil.rmtree(folder)

    async def test_p9_a_key_of_another_slot_is_an_error(self, node, wire):
        async def ready() -> bool:
            return b"cluster_state:ok" in await tell(node.address, "CLUSTER", "INFO")

        async def assigned() -> bool:
            # A call whose answer came too late may have been heard all the same.
            with contextlib.suppress(RedisError):
                await tell(node.address, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            said = await tell(node.address, "CLUSTER", "INFO")
            return b"cluster_slots_assigned:16384" in said

        await until(assigned, 20, "slots")
        await until(ready, 20, "a cluster")
        one = await wire(node.address)
        crossing = "#!lua\nredis.call('SET', KEYS[1], 1)\nreturn redis.call('SET', '{other}b', 1)"
        said = refusal(await one.ask("EVAL", crossing, 1, "{one}a"))
        assert "slot" in said.lower()
        # Only after the writes before it: a script must not rely on being refused.
        assert await one.ask("EXISTS", "{one}a") == 1


def refusal(reply: object) -> str:
    assert isinstance(reply, RedisError), reply
    return f"{getattr(reply, 'status_code', '')} {type(reply).__name__} {reply}".upper()
