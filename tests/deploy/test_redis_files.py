"""The files in `deploy/redis` as they stand: three hosts, users of their own, and a lost primary."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from stepup.adapters.embedded.processes import ChildProcess
from stepup.adapters.embedded.redis_hosts import free_ports
from stepup.adapters.redis.endpoint import Address, Endpoint, connect
from stepup.adapters.redis.state import RedisState
from stepup.adapters.system import SystemClock
from stepup.crypto.sealing import Sealer
from tests.fault.history import History, Outcome
from tests.fault.instances import Instance
from tests.support.redis_cluster import HOSTS, engines, until

_WHO = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "stepup")
FILES = Path(__file__).parents[2] / "deploy" / "redis"

pytestmark = [pytest.mark.redis, pytest.mark.fault]


class Host:
    """A server and its Sentinel, from the shipped files with this host's address in them."""

    def __init__(self, host: str, ports: tuple[int, int], folder: Path, binary: Path) -> None:
        self.server: Address = (host, ports[0])
        self.sentinel: Address = (host, ports[1])
        self._folder, self._binary = folder, binary
        self.processes: dict[str, ChildProcess] = {}

    def start(self, kind: str, *more: str) -> None:
        """Start one of the two."""
        name = "redis" if kind == "server" else "sentinel"
        path = self._folder / f"{name}.conf"
        path.write_text("\n".join([self._filled(name), *more, ""]))
        command = [str(self._binary), str(path), *(["--sentinel"] if name == "sentinel" else [])]
        log = self._folder / f"{name}.log"
        self.processes[kind] = ChildProcess(command, log=log, death_signal=signal.SIGKILL)

    def start_by_script(self, others: Sequence[Address]) -> None:
        """Start the server again as systemd does."""
        environment = os.environ | {
            "SELF": " ".join(map(str, self.server)),
            "OTHER_SENTINELS": " ".join(f"{host}:{port}" for host, port in others),
            "REDISCLI_AUTH": "change-me-operator",
            "CONFIG": str(self._folder / "redis.conf"),
            "SENTINEL_CONFIG": str(self._folder / "sentinel.conf"),
            "SERVER": str(self._binary),
        }
        self.processes["server"] = ChildProcess(
            [str(FILES / "start-server")],
            log=self._folder / "redis.log",
            death_signal=signal.SIGKILL,
            environment=environment,
        )

    def _filled(self, name: str) -> str:
        text = (FILES / f"{name}.conf").read_text()
        for shipped, here in {
            "monitor stepup 10.0.0.1 6379": f"monitor stepup {HOSTS[0]} {self.server[1]}",
            "10.0.0.1": self.server[0],
            "port 6379": f"port {self.server[1]}",
            "port 26379": f"port {self.sentinel[1]}",
            "dir /var/lib/stepup-redis": f"dir {self._folder}",
            "dir /var/lib/stepup-sentinel": f"dir {self._folder}",
            f"/etc/stepup/{name}.acl": str(self._folder / f"{name}.acl"),
        }.items():
            text = text.replace(shipped, here)
        (self._folder / f"{name}.acl").write_text((FILES / f"{name}.acl").read_text())
        return text


@pytest.fixture(scope="module", params=list(engines()))
def hosts(request, tmp_path_factory) -> Iterator[list[Host]]:
    ports, binary = tuple(free_ports(2)), engines()[request.param]
    found = [Host(each, ports, tmp_path_factory.mktemp("host"), binary) for each in HOSTS]
    primary = " ".join(map(str, found[0].server))
    try:
        for host in found:
            host.start("server", *([] if host is found[0] else [f"replicaof {primary}"]))
        asyncio.run(until(lambda: has_replicas(found[0].server, 2), 20, "two replicas"))
        for host in found:
            host.start("sentinel")
        yield found
    finally:
        for host in found:
            for process in host.processes.values():
                process.stop(signal.SIGKILL)


def url_of(hosts: list[Host]) -> str:
    sentinels = ",".join(f"{host}:{port}" for host, port in (each.sentinel for each in hosts))
    own = "sentinel_username=stepup&sentinel_password=change-me-stepup"
    return f"redis+sentinel://stepup:change-me-stepup@{sentinels}/stepup/0?{own}"


async def ask(address: Address, user: str, *command: str | int) -> object:
    host, port = address
    login = f"{user}:change-me-{user}@" if user else ""
    connection = Endpoint(f"redis://{login}{host}:{port}").new_connection("test")
    try:
        await connect(connection)
        await connection.send_command(*command)
        return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


async def has_replicas(address: Address, count: int) -> bool:
    role = await ask(address, "stepup", "ROLE")
    return role[0] == b"master" and len(role[2]) == count


async def sentinels_agree(hosts: list[Host]) -> bool:
    for host in hosts:
        known = await ask(host.sentinel, "operator", "SENTINEL", "MASTER", "stepup")
        seen = known[b"num-other-sentinels"], known[b"num-slaves"], known[b"flags"]
        if seen != (b"2", b"2", b"master"):
            return False
    return True


async def test_the_service_can_do_its_work_and_the_settings_keep_the_promises(hosts):
    await until(lambda: sentinels_agree(hosts), 40, "Sentinels that know each other")
    sealer = Sealer({1: bytes(32)}, bytes)
    state = RedisState(url_of(hosts), sealer, SystemClock(), refuse_unsafe=True)
    async with state:
        await until(lambda: is_ready(state), 10, "a service that is ready")
        assert (await state.inspect()).contradictions == []
        await state.stores.changes.announce()
    instance = Instance(url_of(hosts), "a", History())
    await instance.open()
    challenge = await instance.create()
    assert challenge is not None
    assert await instance.redeem(challenge, 0) is Outcome.GRANTED
    await instance.close()


async def is_ready(state: RedisState) -> bool:
    try:
        await state.check()
    except Exception:  # noqa: BLE001  not yet
        return False
    return True


@pytest.mark.parametrize(
    "command",
    [("FLUSHALL",), ("CONFIG", "SET", "appendonly", "no"), ("SET", "other", 1), ("KEYS", "*")],
)
async def test_a_stolen_password_of_the_service_opens_nothing_else(hosts, command):
    with pytest.raises(NoPermissionError):
        await ask(hosts[0].server, "stepup", *command)
    with pytest.raises(NoPermissionError):
        await ask(hosts[0].sentinel, "stepup", "SENTINEL", "FAILOVER", "stepup")


async def test_nobody_comes_in_without_a_name(hosts):
    for address in (hosts[0].server, hosts[0].sentinel):
        with pytest.raises((AuthenticationError, RedisError)):
            await ask(address, "", "PING")


async def test_a_lost_primary_is_replaced(hosts):
    """The Sentinels' users may do what an election needs, down to the other replica."""
    await until(lambda: sentinels_agree(hosts), 40, "Sentinels that know each other")
    instance = Instance(url_of(hosts), "a", History())
    await instance.open()
    hosts[0].processes["server"].send(signal.SIGKILL)
    # Sentinels look at a healthy set every ten seconds; the settings are those of a real site.
    made = []

    async def granted() -> bool:
        made.append(await instance.create())
        return made[-1] is not None

    await until(granted, 45, "a challenge after the failover")
    assert await instance.redeem(made[-1], asyncio.get_running_loop().time() + 5) is Outcome.GRANTED
    await instance.close()

    async def followed() -> bool:
        others = [await ask(host.server, "stepup", "ROLE") for host in hosts[1:]]
        return sorted(role[0] for role in others) == [b"master", b"slave"]

    await until(followed, 20, "a replica of the new primary")


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="start-server needs redis-cli")
async def test_a_primary_that_died_comes_back_as_a_replica(hosts):
    """Its file says that it is a primary; until it is in step no Sentinel may choose it."""
    old = hosts[0]
    for kind in ("sentinel", "server"):
        old.processes[kind].stop(signal.SIGKILL)

    async def replaced() -> bool:
        named = await ask(hosts[1].sentinel, "stepup", *_WHO)
        return named[0].decode() != old.server[0]

    await until(replaced, 45, "a failover")
    old.start_by_script([host.sentinel for host in hosts[1:]])

    async def in_step() -> bool:
        role = await ask(old.server, "stepup", "ROLE")
        assert role[0] == b"slave"
        held = await ask(old.server, "operator", "CONFIG", "GET", "replica-priority")
        return role[3] == b"connected" and held[b"replica-priority"] == b"100"

    await until(in_step, 20, "a replica that may be chosen")
    old.start("sentinel")
