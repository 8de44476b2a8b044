"""`stepup cluster`: run the whole service as on several hosts, break it, and mend it."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rich_click as click

from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.cli.as_json import json_option
from stepup.cli.cluster import control
from stepup.cli.cluster.state import StateFile, member_table, supervisor_of
from stepup.cli.data_folder import default_cluster_dir
from stepup.cli.files import EXISTING_FILE, FILE_OR_FOLDER
from stepup.cli.redis import move
from stepup.cli.stopping import stoppable

_STARTS_WITHIN = 120.0
_ENDS_WITHIN = 60.0

_data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Of the cluster that is meant."
)


@click.group()
def cluster() -> None:
    """Run the service as on several hosts, on this machine, to break it (development)."""


@cluster.command()
@click.option("--instances", type=click.IntRange(1, 9), default=3, show_default=True)
@click.option(
    "--cluster/--sentinel",
    "sharded",
    default=False,
    help="Redis in three shards with a replica each, or a primary with Sentinels (default).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Of the balancer before the instances; 0 is a free one.",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Emptied first.")
@click.option("--policy", type=FILE_OR_FOLDER, help="Policy to activate: a file or a folder.")
@click.option("--clients", type=EXISTING_FILE, help="List of clients, as YAML or JSON.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="One setting.")
@click.option("--no-demo", "demo", flag_value=False, default=True, help="Service only.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written when all answers.")
@click.option(
    "--down-after",
    type=click.IntRange(200, 60_000),
    default=2000,
    show_default=True,
    metavar="MS",
    help="How long a Redis server may be silent before it is replaced.",
)
@click.option("--detach", is_flag=True, help="Return when all answers; `down` ends it.")
def up(detach: bool, data_dir: Path | None, **options: Any) -> None:
    """Start a cluster: Redis with replicas, PostgreSQL with a standby, instances, a balancer.

    Everything begins empty, and runs until Ctrl-C or `stepup cluster down`.
    """
    state = StateFile(data_dir or default_cluster_dir())
    if state.find() is not None:
        raise click.ClickException(f"a cluster runs from {state.data_dir} already")
    if detach:
        _detach(state)
        return
    from stepup.cli.cluster.up import Plan, run_cluster  # noqa: PLC0415  the rest needs no engines

    with stoppable(), ExitStack() as stack:
        run_cluster(Plan(data_dir=state.data_dir, **options), stack)


@cluster.command()
@_data_dir_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Show every member: its role, address, process, and whether it runs."""
    state = StateFile(data_dir or default_cluster_dir())
    found = {**state.read(), **_ask(state, "status")}
    if as_json:
        shown = {key: found[key] for key in ("issuer", "pid", "members")}
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"{found['issuer']}, run by process {found['pid']}")
    for line in member_table(found["members"]):
        click.echo(f"  {line}")


@cluster.command()
@click.argument("name")
@_data_dir_option
@json_option
def kill(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Kill a member with all of its processes: `redis-1`, `redis:primary`, `instance-2`."""
    _change("kill", name, data_dir, as_json=as_json)


@cluster.command()
@click.argument("name")
@_data_dir_option
@json_option
def freeze(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Keep a member from running, with its connections open."""
    _change("freeze", name, data_dir, as_json=as_json)


@cluster.command()
@click.argument("name", default="")
@_data_dir_option
@json_option
def resume(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Let a frozen member run again; without a name all of them."""
    _change("resume", name, data_dir, as_json=as_json)


@cluster.command()
@click.argument("name", default="")
@_data_dir_option
@json_option
def start(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Start a killed member; without a name all of them.

    A PostgreSQL that is not the primary is made anew, as a standby of the primary.
    """
    _change("start", name, data_dir, as_json=as_json)


@cluster.command()
@click.argument("shard", default="")
@_data_dir_option
@json_option
def switchover(shard: str, data_dir: Path | None, as_json: bool) -> None:
    """Move the Redis primary without losing a write, as `stepup redis switchover` does.

    With `--cluster` the replica of a shard (`shard-2`) takes over by CLUSTER FAILOVER; without a
    name that of each shard, one after the other.
    """
    url = StateFile(data_dir or default_cluster_dir()).read()["engines"]["redis"]
    if shard or not SentinelUrl.is_meant_by(url):
        _change("switchover", shard, data_dir, as_json=as_json)
        return
    move(SentinelUrl.parse(url), to=None, attempts=3, dry_run=False, as_json=as_json)


@cluster.command()
@_data_dir_option
@json_option
def promote(data_dir: Path | None, as_json: bool) -> None:
    """Make the PostgreSQL standby the primary; the old one is ended first."""
    _change("promote", "", data_dir, as_json=as_json)


@cluster.command()
@_data_dir_option
def down(data_dir: Path | None) -> None:
    """End the cluster and everything in it."""
    state = StateFile(data_dir or default_cluster_dir())
    supervisor = supervisor_of(state.read())
    try:
        _ask(state, "down")
    except click.ClickException:
        # It hangs. Its children end with it.
        supervisor.send(signal.SIGKILL)
    deadline = time.monotonic() + _ENDS_WITHIN
    while supervisor.state != "gone":
        if time.monotonic() > deadline:
            supervisor.send(signal.SIGKILL)
        time.sleep(0.05)
    click.echo("everything has ended")


def _change(verb: str, name: str, data_dir: Path | None, *, as_json: bool) -> None:
    answer = _ask(StateFile(data_dir or default_cluster_dir()), verb, name)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for each in answer["changed"]:
        click.echo(f"{each['name']} is {each['state']}")


def _ask(state: StateFile, verb: str, name: str = "") -> dict[str, Any]:
    try:
        found: Mapping[str, Any] = control.ask(Path(state.read()["control"]), verb, name)
    except control.ControlError as error:
        raise click.ClickException(str(error)) from error
    return dict(found)


def _detach(state: StateFile) -> None:
    """Run the same command in a session of its own, and wait until its cluster is there."""
    arguments = [each for each in sys.argv[1:] if each != "--detach"]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", "stepup", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + _STARTS_WITHIN
        while (found := state.find()) is None or found["pid"] != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                output.seek(0)
                raise click.ClickException(f"it did not start: {output.read().strip()}")
            time.sleep(0.05)
        output.seek(0)
        click.echo(output.read().rstrip())
