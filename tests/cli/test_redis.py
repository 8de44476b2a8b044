"""`stepup redis`: what an operator sees of a set, and how he moves its primary."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from stepup.cli.main import stepup
from tests.support.redis_cluster import RedisCluster, running_cluster

pytestmark = pytest.mark.redis

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def cluster_of_module() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(cluster_of_module: RedisCluster) -> Iterator[RedisCluster]:
    yield cluster_of_module
    asyncio.run(cluster_of_module.mend())


@pytest.fixture
def ask(cluster: RedisCluster) -> Ask:
    """Run `stepup redis ...` with the set's URL in the environment."""
    environ = {"COLUMNS": "300", "STEPUP_REDIS_URL": cluster.url}

    def run(*arguments: str, **more: str | None) -> Result:
        return CliRunner().invoke(stepup, ["redis", *arguments], env=environ | more)

    return run


def primary_of(cluster: RedisCluster) -> str:
    return "{}:{}".format(*asyncio.run(cluster.primary()).address)


def test_status_shows_every_server_and_sentinel(cluster: RedisCluster, ask: Ask):
    result = ask("status")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines if line][:6] == ["server"] * 3 + ["Sentinel"] * 3
    assert lines[-1] == "healthy"

    document = json.loads(ask("status", "--json").output)
    assert document["healthy"] is True
    assert document["primary"] == primary_of(cluster)
    assert sorted(each["role"] for each in document["servers"]) == ["primary", "replica", "replica"]
    assert {each["config_epoch"] for each in document["sentinels"]} == {0}


def test_status_says_who_is_away_and_exits_with_3(cluster: RedisCluster, ask: Ask):
    (replica, _) = asyncio.run(cluster.replicas())
    replica.send(signal.SIGSTOP)
    result = ask("status")
    assert result.exit_code == 3
    assert f"- {replica.endpoint} does not answer" in result.output
    assert "1 replica in step, 2 are needed" in result.output


def test_a_dry_run_moves_nothing(cluster: RedisCluster, ask: Ask):
    before = primary_of(cluster)
    result = ask("switchover", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output == f"the set is healthy; {before} would give way to a replica\n"
    assert json.loads(ask("switchover", "--dry-run", "--json").output)["outcome"] == "ready"
    assert primary_of(cluster) == before


def test_a_switchover_moves_the_primary_and_says_for_how_long_nothing_was_written(
    cluster: RedisCluster, ask: Ask
):
    before = primary_of(cluster)
    result = ask("switchover", "--json", "--attempts", "5")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert (document["outcome"], document["old"]) == ("moved", before)
    assert document["new"] == primary_of(cluster) != before
    assert 0 < document["write_gap_seconds"] < 10


def test_a_set_that_is_not_healthy_is_left_alone(cluster: RedisCluster, ask: Ask):
    cluster.nodes[2].send_to_sentinel(signal.SIGSTOP)
    result = ask("switchover")
    assert result.exit_code == 3
    assert "the set is not fit to be switched over; nothing was done" in result.output
    document = json.loads(ask("switchover", "--json").output)
    assert document["outcome"] == "refused"
    assert document["findings"]


def test_ctrl_c_lets_go_of_the_pause(cluster: RedisCluster):
    before = asyncio.run(cluster.primary())
    (frozen, _) = asyncio.run(cluster.replicas())
    environ = dict(os.environ) | {"STEPUP_REDIS_URL": cluster.url}
    # A replica that stops just after the look is never in step; there is time to stop it all.
    script = (
        "import os, signal, sys\n"
        "from stepup.adapters.redis import switchover\n"
        "switchover._IN_STEP_WITHIN = 30\n"
        "pause = switchover._Move._replicas_hold_everything\n"
        "async def frozen(move):\n"
        f"    os.kill({frozen.server.pid}, signal.SIGSTOP)\n"
        "    print('waiting', flush=True)\n"
        "    await pause(move)\n"
        "switchover._Move._replicas_hold_everything = frozen\n"
        "from stepup.cli.main import stepup\n"
        "stepup(['redis', 'switchover'])\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while process.stdout.readline() != "waiting\n":
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.wait(10) == 1
        assert time.monotonic() - begun < 3
        assert "stopped, and undone" in process.stderr.read()
    frozen.send(signal.SIGCONT)
    assert asyncio.run(cluster.primary()) is before


def test_an_operators_url_comes_from_a_file_or_the_environment(
    cluster: RedisCluster, ask: Ask, tmp_path
):
    file = tmp_path / "operator"
    file.write_text(f"{cluster.url}\n")
    nobody = "redis+sentinel://127.0.0.1:1/stepup/0"
    assert ask("status", "--redis-url-file", str(file), STEPUP_REDIS_URL=nobody).exit_code == 0
    by_environment = {"STEPUP_REDIS_OPERATOR_URL": cluster.url, "STEPUP_REDIS_URL": nobody}
    assert ask("status", **by_environment).exit_code == 0
    by_file = {"STEPUP_REDIS_OPERATOR_URL_FILE": str(file), "STEPUP_REDIS_URL": nobody}
    assert ask("status", **by_file).exit_code == 0


@pytest.mark.parametrize(
    ("url", "exit_code", "text"),
    [
        (None, 2, "give --redis-url-file, STEPUP_REDIS_OPERATOR_URL or STEPUP_REDIS_URL"),
        ("redis://127.0.0.1:6379", 1, "there are no Sentinels in the Redis URL"),
        ("redis+sentinel://127.0.0.1:1/", 1, "expected redis+sentinel://"),
    ],
)
def test_a_url_that_means_no_set_ends_it_with_one_line(ask: Ask, url, exit_code, text):
    result = ask("status", STEPUP_REDIS_URL=url)
    assert result.exit_code == exit_code
    assert text in result.output


def test_a_url_that_is_cut_off_inside_a_password_does_not_show_it(ask: Ask):
    cut = "redis+sentinel://operator:hush/hush@10.0.0.1:26379/stepup/0"
    ended = ask("status", STEPUP_REDIS_OPERATOR_URL=cut)
    assert ended.exit_code == 1
    assert "expected redis+sentinel" in ended.output
    assert "hush" not in ended.output


def test_a_target_is_a_host_and_a_port(ask: Ask):
    result = ask("switchover", "--to", "10.0.0.1")
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.output
