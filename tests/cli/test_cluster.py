"""The parts of `stepup cluster` that need no engine: names, states, the control line, the balancer."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from click.testing import CliRunner

from stepup.adapters.embedded.family import ProcessId
from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.cli.cluster import control
from stepup.cli.cluster.balancer import Backend, Balancer
from stepup.cli.cluster.members import Member, Members
from stepup.cli.cluster.state import StateFile, member_table
from stepup.cli.cluster.supervisor import Supervisor
from stepup.cli.listening import listen, port_of
from stepup.cli.main import stepup


class NoRedis:
    """One of which nobody knows the primary, and which moves it all the same."""

    async def roles(self) -> dict[str, str]:
        raise ConnectionError

    async def switch_over(self, shard: str) -> dict[str, str]:
        if not shard:
            raise EngineError("somebody is away")
        return {"redis-2": f"{shard}:primary"}


class NoPostgres:
    """A pair that is not looked at."""

    servers = ()

    def __init__(self) -> None:
        self.primary = type("Primary", (), {"name": "postgres-1"})

    def look_after(self) -> None:
        """Nothing to do."""


def sleeper() -> ChildProcess:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return ChildProcess(command, death_signal=signal.SIGKILL)


@pytest.fixture
def members() -> Iterator[Members]:
    """Three processes that do nothing; each is started anew by its member."""
    running: dict[str, ChildProcess] = {}

    def member(name: str) -> Member:
        def start() -> None:
            running[name] = sleeper()

        start()
        return Member(name, ("127.0.0.11", 1), lambda: running[name], start)

    yield Members([member(name) for name in ("redis-1", "redis-2", "demo")])
    for process in running.values():
        process.stop(signal.SIGKILL)


@pytest.fixture
def supervisor(members: Members) -> Supervisor:
    return Supervisor(members, NoRedis(), NoPostgres())


def states(members: Members) -> dict[str, str]:
    return {member.name: member.state for member in members}


async def test_a_member_is_killed_started_frozen_and_resumed(
    supervisor: Supervisor, members: Members
):
    for verb, state in [
        ("freeze", "frozen"),
        ("resume", "running"),
        ("kill", "gone"),
        ("start", "running"),
        ("freeze", "frozen"),
        ("kill", "gone"),
    ]:
        answer = await supervisor.handle(verb, "redis-2")
        assert answer == {"changed": [{"name": "redis-2", "state": state}]}
    assert states(members) == {"redis-1": "running", "redis-2": "gone", "demo": "running"}


async def test_without_a_name_everybody_is_meant_who_needs_it(
    supervisor: Supervisor, members: Members
):
    await supervisor.handle("kill", "redis-1")
    await supervisor.handle("freeze", "demo")
    assert [each["name"] for each in (await supervisor.handle("start", ""))["changed"]] == [
        "redis-1"
    ]
    assert [each["name"] for each in (await supervisor.handle("resume", ""))["changed"]] == ["demo"]
    assert set(states(members).values()) == {"running"}
    assert (await supervisor.handle("kill", ""))["changed"] == []


@pytest.mark.parametrize(
    ("before", "verb", "text"),
    [
        ("kill", "kill", "redis-1 is gone"),
        ("kill", "freeze", "redis-1 is gone"),
        ("kill", "resume", "redis-1 is gone"),
        ("resume", "start", "redis-1 is running"),
        ("freeze", "start", "redis-1 is frozen; resume it"),
    ],
)
async def test_what_makes_no_sense_is_refused(supervisor: Supervisor, before, verb, text):
    await supervisor.handle(before, "redis-1")
    with pytest.raises(control.ControlError, match=text):
        await supervisor.handle(verb, "redis-1")


@pytest.mark.parametrize("name", ["redis-9", "redis:primary", "postgres:standby", ":", "mysql"])
async def test_a_name_that_nobody_has_is_said_with_those_that_there_are(
    supervisor: Supervisor, name
):
    with pytest.raises(control.ControlError, match=f"no {name}; there are redis-1, redis-2, demo"):
        await supervisor.handle("kill", name)


async def test_a_verb_that_is_not_known_is_refused(supervisor: Supervisor):
    with pytest.raises(control.ControlError, match="does not know dance"):
        await supervisor.handle("dance", "")


async def test_a_shard_is_switched_over_or_it_is_said_why_not(supervisor: Supervisor):
    answer = await supervisor.handle("switchover", "shard-2")
    assert answer == {"changed": [{"name": "redis-2", "state": "shard-2:primary"}]}
    with pytest.raises(control.ControlError, match=r"^somebody is away$"):
        await supervisor.handle("switchover", "")


def test_a_role_finds_who_has_it_now(members: Members):
    roles = {"redis-1": "replica", "redis-2": "primary"}
    assert members.find("redis:primary", roles).name == "redis-2"
    assert members.find("redis:replica", roles).name == "redis-1"
    assert members.find("demo:primary", roles) is None
    sharded = {"redis-1": "shard-1:replica", "redis-2": "shard-1:primary"}
    assert members.find("redis:shard-1:primary", sharded).name == "redis-2"
    assert members.find("redis:shard-2:primary", sharded) is None


async def test_a_command_gets_its_answer_and_its_refusal(tmp_path):
    async def handle(verb: str, name: str) -> dict[str, str]:
        if verb == "refuse":
            raise control.ControlError("no")
        return {verb: name}

    path = tmp_path / "control.sock"
    async with control.listening(path, handle):
        assert await asyncio.to_thread(control.ask, path, "echo", "this") == {"echo": "this"}
        with pytest.raises(control.ControlError, match=r"^no$"):
            await asyncio.to_thread(control.ask, path, "refuse")
    with pytest.raises(control.ControlError, match="does not answer"):
        control.ask(path, "echo")


@pytest.mark.parametrize(
    "words",
    [["status"], ["kill", "demo"], ["start"], ["promote"], ["switchover"], ["down"]],
    ids=lambda words: words[0],
)
def test_where_no_cluster_runs_a_command_says_so(tmp_path, words):
    folder = tmp_path / "cluster"
    result = CliRunner().invoke(stepup, ["cluster", *words, "--data-dir", str(folder)])
    assert result.exit_code == 1
    assert "no cluster runs from" in result.output


CHANGED = {"changed": [{"name": "redis-4", "state": "gone"}]}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["kill", "redis-4"], ("kill", "redis-4")),
        (["freeze", "redis-4"], ("freeze", "redis-4")),
        (["resume"], ("resume", "")),
        (["start"], ("start", "")),
        (["promote"], ("promote", "")),
        (["switchover", "shard-1"], ("switchover", "shard-1")),
    ],
    ids=lambda words: words[0],
)
async def test_what_was_changed_is_said_to_people_and_to_programs(tmp_path, words, asked):
    async def handle(verb: str, name: str) -> dict[str, object]:
        assert (verb, name) == asked
        return CHANGED

    def run(*more: str) -> str:
        given = ["cluster", *words, "--data-dir", str(tmp_path), *more]
        result = CliRunner().invoke(stepup, given)
        assert result.exit_code == 0, result.output
        return result.output

    path = tmp_path / "control.sock"
    ready = {"pid": os.getpid(), "engines": {"redis": "redis+cluster://127.0.0.11:6379"}}
    StateFile(tmp_path).write(ready, path, [])
    async with control.listening(path, handle):
        assert await asyncio.to_thread(run) == "redis-4 is gone\n"
        assert json.loads(await asyncio.to_thread(run, "--json")) == CHANGED


def test_the_state_of_a_cluster_that_was_killed_is_not_believed(tmp_path):
    state = StateFile(tmp_path)
    state.write({"pid": os.getpid()}, tmp_path / "control.sock", [])
    assert state.read()["pid"] == os.getpid()
    assert (tmp_path / "cluster.json").stat().st_mode & 0o777 == 0o600

    document = json.loads((tmp_path / "cluster.json").read_text())
    document["started"] -= 1  # somebody else has the number now
    (tmp_path / "cluster.json").write_text(json.dumps(document))
    assert state.find() is None
    state.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_aligned():
    us = ProcessId.of(os.getpid())
    rows = [
        {"name": "a", "role": "primary", "address": "h:1", "pid": us.pid, "state": "running"},
        {"name": "long", "role": "", "address": "h:22", "pid": None, "state": "gone"},
    ]
    one, two = member_table(rows)
    assert one.index("running") == two.index("gone")


class TestBalancer:
    @asynccontextmanager
    async def instance(self, name: bytes, status: bytes = b"200 OK") -> AsyncIterator[Backend]:
        """An instance that says its name, and may be ready or not."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            if line.startswith(b"GET /readyz"):
                writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
            else:
                writer.write(name)
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        try:
            yield Backend(server.sockets[0].getsockname())
        finally:
            server.close()

    @asynccontextmanager
    async def before(self, *backends: Backend) -> AsyncIterator[int]:
        sockets = listen("127.0.0.1", 0)
        async with Balancer(backends).serving(sockets):
            await asyncio.sleep(0.2)
            yield port_of(sockets)
        for each in sockets:
            each.close()

    async def said(self, port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def test_hands_connections_to_the_ready_in_turn(self):
        async with (
            self.instance(b"one") as one,
            self.instance(b"two") as two,
            self.instance(b"no", b"503 no") as unready,
            self.before(one, unready, two) as port,
        ):
            answers = [await self.said(port) for _ in range(6)]
        assert sorted(answers) == [b"one"] * 3 + [b"two"] * 3

    async def test_tries_the_next_one_when_it_cannot_connect(self):
        async with (
            self.instance(b"one") as one,
            self.instance(b"two") as gone,
            self.before(gone, one) as port,
        ):
            gone.address = ("127.0.0.1", 1)
            assert [await self.said(port) for _ in range(3)] == [b"one"] * 3

    async def test_says_503_when_nobody_is_ready(self):
        async with self.instance(b"no", b"503 no") as unready, self.before(unready) as port:
            answer = await self.said(port)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer

    async def test_breaks_off_what_runs_through_one_that_hangs(self):
        hanging, ended = asyncio.Event(), asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            if line.startswith(b"GET /readyz") and not hanging.is_set():
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                writer.close()
                return
            hanging.set()
            await ended.wait()
            writer.transport.abort()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        backend = Backend(server.sockets[0].getsockname())
        async with self.before(backend) as port:
            with suppress(ConnectionError):
                assert await self.said(port) == b""
            assert (await self.said(port)).startswith(b"HTTP/1.1 503 ")
        server.close()
        ended.set()
        await asyncio.sleep(0.05)
