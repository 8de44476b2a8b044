"""`stepup admin key`: the keys of pipelines."""

import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import rich_click as click

from stepup.cli.admin.operator import operator, run
from stepup.cli.as_json import json_array_option, json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.administrator import SCOPES_OF_KEYS, ApiKey, Scope
from stepup.policy_language.spans import parse_span
from stepup.ports import Ports
from stepup.usecases import api_keys
from stepup.usecases.api_keys import MadeKey
from stepup.usecases.keys import read_keyring


@click.group()
def key() -> None:
    """Give pipelines keys of their own, and take them away.

    A key approves nothing, and activates only when it was made for that.
    """


def _span(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    span = parse_span(text) if text else None
    if text is not None and not span:
        raise click.BadParameter("a span of time, as 90d or 12h")
    return span


@key.command()
@click.option("--name", required=True, help="What the log calls it, as `ci`.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(scope.value for scope in SCOPES_OF_KEYS)),
    help="What it may do; may be given several times.",
)
@click.option("--expires", callback=_span, help="When it ends, as 90d; never otherwise.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this new file, for its owner only, and not to the terminal.",
)
@settings_options
@json_option
def create(  # noqa: PLR0913, PLR0917  an option each
    config_file: Path | None,
    sets: Sequence[str],
    name: str,
    scopes: Sequence[str],
    expires: timedelta | None,
    target: Path | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown now and never again."""
    settings = load_settings(config_file, sets)
    # Before the key is made: one that could not be kept would be lost.
    kept = None if target is None else _new_file(target)

    async def task(ports: Ports, sealer: Sealer) -> MadeKey:
        async with ports.database.transaction() as stores:
            keyring = await read_keyring(stores, sealer)
        expires_at = None if expires is None else ports.clock.now() + expires
        wanted = [Scope(scope) for scope in scopes]
        return await api_keys.create(
            ports, keyring, name, wanted, expires_at=expires_at, by=operator()
        )

    try:
        made = run(settings, task)
    except click.ClickException:
        if target is not None:
            target.unlink()
        raise
    if kept is not None:
        with os.fdopen(kept, "w", encoding="utf-8") as file:
            file.write(f"{made.text}\n")
    row = _row(made.key) | ({} if target else {"key": made.text})
    if as_json:
        click.echo(json.dumps(row))
        return
    click.echo(f"{name}: {' '.join(row['scopes'])}, expires {row['expires_at'] or 'never'}")
    click.echo(f"  written to {target}" if target else f"  key, shown only now: {made.text}")


@key.command(name="list")
@click.option("--all", "with_revoked", is_flag=True, help="Revoked keys as well.")
@settings_options
@json_array_option
def list_keys(
    config_file: Path | None, sets: Sequence[str], with_revoked: bool, as_json: bool
) -> None:
    """List keys, with what each may do and when it was used last, roughly."""

    async def task(ports: Ports, _sealer: Sealer) -> Sequence[ApiKey]:
        return await api_keys.list_keys(ports)

    found = run(load_settings(config_file, sets), task)
    rows = [_row(each) for each in found if with_revoked or each.revoked_at is None]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        used, until = row["last_used_at"] or "never", row["expires_at"] or "never"
        end = f"revoked {row['revoked_at']}" if row["revoked_at"] else f"expires {until}"
        click.echo(f"{row['name']}  {row['id']}  {' '.join(row['scopes'])}  used {used}  {end}")


@key.command()
@click.argument("name")
@settings_options
@json_option
def revoke(config_file: Path | None, sets: Sequence[str], name: str, as_json: bool) -> None:
    """Take a key away for good, by its NAME or identifier; it opens nothing from the next request on.

    Exits with 3 if there is none.
    """

    async def task(ports: Ports, _sealer: Sealer) -> ApiKey | None:
        return await api_keys.revoke(ports, name, operator())

    revoked = run(load_settings(config_file, sets), task)
    said = f"{name} is revoked" if revoked else f"there is no key {name}"
    click.echo(json.dumps({"revoked": revoked.id if revoked else None}) if as_json else said)
    if revoked is None:
        raise SystemExit(FINDINGS)


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _row(each: ApiKey) -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return at.isoformat(timespec="seconds") if at else None

    return {
        "id": each.id,
        "name": each.name,
        "scopes": [str(scope) for scope in sorted(each.scopes)],
        "created_by": each.created_by,
        "created_at": moment(each.created_at),
        "expires_at": moment(each.expires_at),
        "last_used_at": moment(each.last_used_at),
        "revoked_at": moment(each.revoked_at),
    }
