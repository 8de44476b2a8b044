"""`stepup keys`: the signing keys."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from stepup.cli.operating import operate
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.keyring import SealedKey
from stepup.ports import Ports


@click.group()
def keys() -> None:
    """Look at the keys that sign tokens and seal secrets."""


@keys.command(name="list")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def list_keys(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List every key that is not gone: what it is for, how it stands, since when."""
    settings = load_settings(config_file, sets)
    found = asyncio.run(operate(settings, _all_keys))
    rows = [
        {
            "kid": key.id,
            "use": key.use,
            "algorithm": key.algorithm,
            "state": key.state,
            "created_at": key.created_at.isoformat(timespec="seconds"),
        }
        for key in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values()))


async def _all_keys(ports: Ports, _sealer: Sealer) -> Sequence[SealedKey]:
    async with ports.database.transaction() as stores:
        return await stores.keys.all()
