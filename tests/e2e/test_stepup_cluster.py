"""`stepup cluster`: every command of docs/cluster.md, and that nothing is left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner, Result

from stepup.cli.main import stepup
from tests.support.generated_docs import ROOT
from tests.support.service import ENDS_WITHIN, STARTS_WITHIN, children_of, wait_until_gone

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

ISSUER = "http://localhost:8000"
# A failover with the settings below, on a busy machine.
RECOVERS_WITHIN = 30.0
BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Shell:
    """A terminal in which a cluster runs; its data folder is a test's own."""

    def __init__(self, home: Path) -> None:
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("STEPUP_")}
        self.environ |= {"XDG_DATA_HOME": str(home), "COLUMNS": "300"}
        self.folder = home / "stepup-cluster"

    @property
    def issuer(self) -> str:
        return json.loads((self.folder / "ready.json").read_text())["issuer"]

    def up(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "stepup", "cluster", "up", "--detach", "--port", "0"]
        done = subprocess.run(
            [*command, "--down-after", "700", *arguments],
            check=False,
            env=self.environ,
            timeout=STARTS_WITHIN,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> Result:
        # Names of settings that an earlier test left would be refused.
        removed = {key: None for key in os.environ if key.startswith("STEPUP_")}
        return CliRunner().invoke(stepup, arguments, env=self.environ | removed)

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def members(self) -> dict[str, dict]:
        shown = json.loads(self.ok("cluster", "status", "--json"))["members"]
        return {member["name"]: member for member in shown}

    def pids(self) -> list[int]:
        found = json.loads((self.folder / "cluster.json").read_text())
        return [found["pid"], *(member["pid"] for member in found["members"])]

    def demo_until_it_holds(self) -> None:
        """Step up until all of it works again; on the way 503 is an answer."""
        arguments = ["demo", "--headless", "--issuer", self.issuer, "--method", "passkey"]
        deadline = time.monotonic() + RECOVERS_WITHIN
        while (result := self.run(*arguments)).exit_code != 0:
            assert time.monotonic() < deadline, result.output
            time.sleep(0.3)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A cluster that runs; whatever a test broke is started and resumed."""
    shell = Shell(tmp_path_factory.mktemp("cluster"))
    yield shell
    if (shell.folder / "cluster.json").exists():
        shell.run("cluster", "down")


def sessions_of_the_page() -> list[list[list[str]]]:
    """Return the page's commands without their first word, in runs that begin with an `up`."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines() if line]
    sessions: list[list[list[str]]] = []
    for words in map(shlex.split, lines):
        assert words[0] == "stepup"
        if words[1:3] == ["cluster", "up"]:
            sessions.append([])
        sessions[-1].append(words[1:])
    return sessions


SESSIONS = sessions_of_the_page()


def test_the_page_shows_both_shapes_and_ends_what_it_begins():
    firsts = [" ".join(session[0]) for session in SESSIONS]
    assert firsts == ["cluster up --detach", "cluster up --detach --cluster"]
    assert {" ".join(session[-1]) for session in SESSIONS} == {"cluster down"}


@pytest.mark.parametrize("session", SESSIONS, ids=["sentinels", "shards"])
def test_every_command_of_the_page_does_what_it_says_and_nothing_is_left(
    shell: Shell, session: list[list[str]]
):
    shell.up(*session[0][3:])
    pids = shell.pids()
    assert len(pids) == 1 + 12
    for words in session[1:]:
        before = shell.members()
        if words[0] == "demo":
            assert words[1:] == ["--headless", "--issuer", ISSUER, "--method", "passkey"]
            shell.demo_until_it_holds()
            continue
        if words == ["cluster", "switchover"]:
            wait_until_healthy(shell)
        shell.ok(*words)
        pids += check(words, before, shell)
    assert wait_until_gone(pids, 5) == []
    assert "no cluster runs from" in shell.run("cluster", "status").output


def check(words: list[str], before: dict[str, dict], shell: Shell) -> list[int]:
    """Look whether a command did what it says; return the processes that there are then."""
    if words[1] == "down":
        return []
    after = shell.members()
    verb, name = words[1], (words[2:] or [""])[0]
    kind, _, role = name.partition(":")
    meant = [m for m in before.values() if m["name"].startswith(kind) and m["role"] == role]
    if verb in {"kill", "freeze"} and role:
        state = {"kill": "gone", "freeze": "frozen"}[verb]
        assert after[meant[0]["name"]]["state"] == state
    if verb == "kill" and role.startswith("shard-"):
        wait_until_another_is(role, meant[0]["name"], shell)
    if verb in {"start", "resume"}:
        assert {member["state"] for member in after.values()} == {"running"}
    if verb == "promote":
        assert after["postgres-2"]["role"] == "primary"
        assert after["postgres-1"]["state"] == "gone"
    if verb == "switchover":
        shard = f"{name}:" if name else ""
        was = (f"{shard}primary", "redis")
        old = next(n for n, m in before.items() if (m["role"], n[:5]) == was)
        assert after[old]["role"] == f"{shard}replica"
    return [member["pid"] for member in after.values() if member["pid"]]


def wait_until_another_is(role: str, old: str, shell: Shell) -> None:
    """Wait for the failover: started again before it, a server would be what it was."""
    deadline = time.monotonic() + RECOVERS_WITHIN
    while shell.members()[old]["role"] == role:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_healthy(shell: Shell) -> None:
    url = json.loads((shell.folder / "ready.json").read_text())["engines"]["redis"]
    file = shell.folder / "redis-url"
    file.write_text(url)
    deadline = time.monotonic() + RECOVERS_WITHIN
    while (seen := shell.run("redis", "status", "--redis-url-file", str(file))).exit_code != 0:
        assert time.monotonic() < deadline, seen.output
        time.sleep(0.2)


def test_a_cluster_whose_parent_is_killed_leaves_nothing_behind(tmp_path: Path):
    shell, ready = Shell(tmp_path), tmp_path / "ready.json"
    with foreground(shell, "--instances", "2", "--ready-file", str(ready)) as process:
        wait_for(ready, process)
        pids = shell.pids()
        refused(shell)
        balanced(shell)
        process.send_signal(signal.SIGKILL)
        process.wait(ENDS_WITHIN)
    assert wait_until_gone(pids) == []
    assert "no cluster runs from" in shell.run("cluster", "down").output


def test_ctrl_c_ends_a_cluster_that_is_only_starting(tmp_path: Path):
    shell = Shell(tmp_path)
    with foreground(shell) as process:
        wait_for(shell.folder / "postgres-1" / "PG_VERSION", process)
        pids = children_of(process.pid)
        assert pids
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS_WITHIN) == 0
    assert wait_until_gone(pids, 2) == []


def foreground(shell: Shell, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stepup", "cluster", "up", "--port", "0", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=shell.environ, stdout=quiet, stderr=quiet)


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(shell: Shell) -> None:
    """What makes no sense is said in one line, and does nothing."""
    cases = {
        ("kill", "redis-9"): "there is no redis-9; there are redis-1",
        ("start", "redis-1"): "redis-1 is running",
        ("up",): "a cluster runs from",
    }
    for words, text in cases.items():
        result = shell.run("cluster", *words)
        assert result.exit_code == 1, words
        assert text in result.output
    shell.ok("cluster", "freeze", "sentinel-3")
    assert "sentinel-3 is frozen; resume it" in shell.run("cluster", "start", "sentinel-3").output
    assert shell.run("cluster", "switchover", "--json").exit_code == 3
    shell.ok("cluster", "resume")


def balanced(shell: Shell) -> None:
    """A frozen instance is left out; without any the answer is an honest 503."""

    def ask() -> int:
        return httpx2.get(f"{shell.issuer}/livez", timeout=10, trust_env=False).status_code

    shell.ok("cluster", "freeze", "instance-1")
    time.sleep(1.5)
    assert [ask() for _ in range(4)] == [200] * 4
    shell.ok("cluster", "kill", "instance-2")
    time.sleep(0.5)
    assert ask() == 503
    shell.ok("cluster", "resume", "instance-1")
    shell.ok("cluster", "start", "instance-2")
