"""`stepup signals`: how the delivery of security events goes, and what to do when it does not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import rich_click as click

from stepup.cli.admin.operator import run
from stepup.cli.as_json import json_array_option
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.streams import Stream, StreamId
from stepup.ports import Ports
from stepup.usecases import streams


@click.group()
def signals() -> None:
    """Look after the streams of security events."""


@signals.command(name="list")
@settings_options
@json_array_option
def list_streams(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List the streams: whose they are, how they are delivered, and what was set aside."""

    async def task(ports: Ports, _sealer: Sealer) -> list[tuple[Stream, int]]:
        async with ports.database.transaction() as stores:
            found = await stores.streams.all()
            return [(each, len(await stores.signals.aside(each.id))) for each in found]

    rows = [_row(*each) for each in run(load_settings(config_file, sets), task)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values() if value is not None))


@signals.command()
@click.argument("stream")
@settings_options
@json_array_option
def aside(stream: str, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List what was set aside in STREAM, and why."""

    async def task(ports: Ports, _sealer: Sealer) -> list[dict[str, object]]:
        async with ports.database.transaction() as stores:
            return [
                {
                    "jti": each.id,
                    "type": each.type,
                    "queued_at": each.queued_at.isoformat(),
                    "problem": each.problem,
                }
                for each in await stores.signals.aside(StreamId(stream))
            ]

    rows = run(load_settings(config_file, sets), task)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values()))


@signals.command()
@click.argument("stream")
@settings_options
def resume(stream: str, config_file: Path | None, sets: Sequence[str]) -> None:
    """Let STREAM flow again, with what was set aside in it."""

    async def task(ports: Ports, _sealer: Sealer) -> int:
        return await streams.resume(ports, StreamId(stream))

    returned = run(load_settings(config_file, sets), task)
    click.echo(f"{stream} flows again; {returned} events are sent once more")


def _row(stream: Stream, set_aside: int) -> Mapping[str, object]:
    return {
        "stream": stream.id,
        "client": stream.client_id,
        "delivery": stream.delivery.method.name.lower(),
        "endpoint": stream.delivery.endpoint_url,
        "status": stream.status.value,
        "set_aside": set_aside,
        "reason": stream.reason,
    }
