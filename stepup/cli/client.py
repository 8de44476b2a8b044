"""`stepup client`: the services that call us."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from stepup.cli.applying import AppliedClient, apply_clients
from stepup.cli.as_json import json_option
from stepup.cli.client_file import read_clients
from stepup.cli.files import EXISTING_FILE
from stepup.cli.operating import operate
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.ports import Ports


@click.group()
def client() -> None:
    """Register the services that call us."""


@client.command()
@click.argument("file", type=EXISTING_FILE)
@settings_options
@json_option
def apply(file: Path, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Register or change the clients of a YAML or JSON list; others stay as they are.

    A secret comes from `client_secret` or `client_secret_file`. A new client without one gets one,
    which is printed now and never again; a known one keeps its own.
    """
    entries = read_clients(file)
    settings = load_settings(config_file, sets)

    async def task(ports: Ports, sealer: Sealer) -> list[AppliedClient]:
        return await apply_clients(ports, sealer, entries)

    applied = asyncio.run(operate(settings, task))
    if as_json:
        click.echo(json.dumps({"clients": [_document(each) for each in applied]}))
        return
    for each in applied:
        click.echo(f"{each.client_id}: {each.change}")
        if each.secret is not None:
            click.echo(f"  secret, shown only now: {each.secret}")


def _document(applied: AppliedClient) -> dict[str, str]:
    document = {"client_id": applied.client_id, "change": applied.change}
    return document if applied.secret is None else document | {"client_secret": applied.secret}
