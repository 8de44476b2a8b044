import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.adapters.embedded.redis import EmbeddedRedis

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

OWNER = """
import sys, time
from pathlib import Path
from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis

directory = DataDirectory(Path(sys.argv[1]))
postgres, redis = EmbeddedPostgres(directory), EmbeddedRedis(directory)
print(postgres.pid, redis.pid, flush=True)
time.sleep(60)
"""


def connect(postgres: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)


def ended(pid: int, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_starts_both_engines_in_under_five_seconds_and_keeps_their_data(tmp_path):
    began = time.monotonic()
    directory = DataDirectory(tmp_path / "data")
    postgres, valkey = EmbeddedPostgres(directory), EmbeddedRedis(directory)
    assert time.monotonic() - began < 5

    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")
    with redis.Redis.from_url(valkey.url) as client:
        client.set("kept", "still here")
    valkey.stop()
    postgres.stop()
    directory.close()

    directory = DataDirectory(tmp_path / "data")
    postgres, valkey = EmbeddedPostgres(directory), EmbeddedRedis(directory)
    with connect(postgres) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("still here",)
    with redis.Redis.from_url(valkey.url) as client:
        assert client.get("kept") == b"still here"
    valkey.stop()
    postgres.stop()
    directory.close()


def test_ends_with_a_parent_that_is_killed_and_the_next_start_finds_the_data_usable(tmp_path):
    command = [sys.executable, "-c", OWNER, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        pids = [int(pid) for pid in owner.stdout.readline().split()]

        with pytest.raises(EngineError, match=f"in use by process {owner.pid}"):
            DataDirectory(tmp_path / "data")

        owner.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    # Not waiting for the old engines: the lock does that.
    directory = DataDirectory(tmp_path / "data")
    assert all(ended(pid, within=0.5) for pid in pids)
    postgres = EmbeddedPostgres(directory)
    with connect(postgres) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres.stop()
    directory.close()


def test_listens_nowhere_but_in_a_folder_that_nobody_else_may_enter(tmp_path):
    directory = DataDirectory(tmp_path / "data")
    postgres, valkey = EmbeddedPostgres(directory), EmbeddedRedis(directory)
    try:
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert directory.sockets.stat().st_mode & 0o777 == 0o700
        with connect(postgres) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.config_get("port") == {"port": "0"}
    finally:
        valkey.stop()
        postgres.stop()
        directory.close()


def test_keeps_sockets_elsewhere_when_the_path_is_too_long_for_one(tmp_path):
    directory = DataDirectory(tmp_path / ("deep" * 20) / ("deeper" * 10))
    valkey = EmbeddedRedis(directory)
    try:
        assert not directory.sockets.is_relative_to(directory.path)
        assert directory.sockets.stat().st_mode & 0o777 == 0o700
        with redis.Redis.from_url(valkey.url) as client:
            assert client.ping()
    finally:
        valkey.stop()
        directory.close()
        directory.sockets.rmdir()


def test_reset_empties_the_directory_but_never_one_that_is_not_ours(tmp_path):
    directory = DataDirectory(tmp_path / "data")
    (directory.folder("redis") / "appendonly.aof").write_text("old")
    directory.close()
    directory = DataDirectory(tmp_path / "data", reset=True)
    assert sorted(entry.name for entry in directory.path.iterdir()) == ["run", "stepup.lock"]
    directory.close()

    somebodys = tmp_path / "documents"
    somebodys.mkdir()
    (somebodys / "thesis.txt").write_text("years of work")
    with pytest.raises(EngineError, match="has other files in it"):
        DataDirectory(somebodys, reset=True)
    assert (somebodys / "thesis.txt").exists()


def test_says_why_an_engine_did_not_start(tmp_path):
    directory = DataDirectory(tmp_path / "data")
    with pytest.raises(EngineError, match=r"(?i)bad directive|fatal|wrong"):
        EmbeddedRedis(directory, {"no-such-option": "1"})
    directory.close()


def test_gives_up_at_once_when_the_parent_is_gone_before_the_signal_is_armed():
    launcher = Path(sys.modules[ChildProcess.__module__].__file__).with_name("launch.py")
    somebody_else = "1" if os.getpid() != 1 else "2"
    command = [sys.executable, "-I", "-S", str(launcher), somebody_else, "15", "-", "/bin/true"]
    assert subprocess.run(command, check=False).returncode == 1
