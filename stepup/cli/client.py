"""`stepup client`: the services that call us."""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from stepup.cli.admin.operator import operator, run
from stepup.cli.applying import AppliedClient, apply_clients
from stepup.cli.as_json import json_array_option, json_option
from stepup.cli.client_file import read_client, read_clients
from stepup.cli.files import EXISTING_FILE
from stepup.cli.settings import load_settings, settings_options
from stepup.cli.times import Span
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Client
from stepup.domain.client_registration import registration_of
from stepup.domain.client_secret import secrets_of
from stepup.domain.ids import ClientId
from stepup.ports import Ports
from stepup.usecases import registering
from stepup.usecases.keys import read_keyring
from stepup.usecases.registering import Registered

_PAGE = 200


def _to_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--to",
        "target",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the secret to this new file, for its owner only, and not to the terminal.",
    )(command)


@click.group()
def client() -> None:
    """Register the services that call us."""


@client.command()
@click.argument("file", type=EXISTING_FILE)
@settings_options
@json_option
def apply(file: Path, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Register or change the clients of a YAML or JSON list; others stay as they are.

    A secret comes from `client_secret` or `client_secret_file`. A new client that needs one and has
    none gets one, which is printed now and never again; a known one keeps its own.
    """
    entries = read_clients(file)

    async def task(ports: Ports, sealer: Sealer) -> list[AppliedClient]:
        return await apply_clients(ports, sealer, entries)

    applied = run(load_settings(config_file, sets), task)
    if as_json:
        click.echo(json.dumps({"clients": [_applied(each) for each in applied]}))
        return
    for each in applied:
        click.echo(f"{each.client_id}: {each.change}")
        if each.secret is not None:
            click.echo(f"  secret, shown only now: {each.secret}")


@client.command()
@click.argument("file", type=EXISTING_FILE)
@_to_option
@settings_options
@json_option
def add(
    file: Path,
    target: Path | None,
    config_file: Path | None,
    sets: Sequence[str],
    as_json: bool,
) -> None:
    """Register one new client, which a YAML or JSON file describes.

    The members are those of `apply`. If it needs a secret, one is made and shown now.
    """
    entry = read_client(file)

    async def task(ports: Ports, sealer: Sealer) -> Registered:
        async with ports.database.transaction() as stores:
            keyring = await read_keyring(stores, sealer)
        return await registering.register(
            ports, keyring, ClientId(entry.client_id), entry.registration, operator()
        )

    _tell_made("registered", config_file, sets, task, target, as_json)


@client.command()
@click.argument("client_id")
@click.option(
    "--overlap",
    type=Span(),
    default="24h",
    show_default=True,
    help="How long the old secret is good beside the new one, 30 days at most; `0s` ends it now.",
)
@_to_option
@settings_options
@json_option
def rotate(
    client_id: str,
    overlap: timedelta,
    target: Path | None,
    config_file: Path | None,
    sets: Sequence[str],
    as_json: bool,
) -> None:
    """Give a client a new secret, which is shown now and never again.

    Keys rotate by changing the client's JWK set.
    """

    async def task(ports: Ports, sealer: Sealer) -> Registered:
        async with ports.database.transaction() as stores:
            keyring = await read_keyring(stores, sealer)
        return await registering.rotate(ports, keyring, ClientId(client_id), overlap, operator())

    _tell_made("has a new secret", config_file, sets, task, target, as_json)


@client.command()
@click.argument("client_id")
@settings_options
@json_option
def disable(client_id: str, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Take a client out of service, and end every token that was given to it."""

    async def task(ports: Ports, _sealer: Sealer) -> Client:
        return await registering.disable(ports, ClientId(client_id), operator())

    disabled = run(load_settings(config_file, sets), task)
    click.echo(json.dumps(_row(disabled)) if as_json else f"{client_id}: out of service")


@client.command()
@click.argument("client_id")
@settings_options
@json_option
def enable(client_id: str, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Put a client into service again; tokens that were ended stay ended."""

    async def task(ports: Ports, _sealer: Sealer) -> Client:
        return await registering.enable(ports, ClientId(client_id), operator())

    enabled = run(load_settings(config_file, sets), task)
    click.echo(json.dumps(_row(enabled)) if as_json else f"{client_id}: in service")


@client.command(name="list")
@settings_options
@json_array_option
def list_clients(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List clients by their identifiers."""

    async def task(ports: Ports, _sealer: Sealer) -> list[Client]:
        found: list[Client] = []
        while page := await registering.list_clients(
            ports, after=found[-1].client_id if found else "", count=_PAGE
        ):
            found += page
        return found

    rows = [_row(each) for each in run(load_settings(config_file, sets), task)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        method = row["token_endpoint_auth_method"] or "client_secret"
        state = "out of service" if row["disabled"] else "in service"
        click.echo(f"{row['client_id']}  {' '.join(row['roles'])}  {method}  {state}")


@client.command()
@click.argument("client_id")
@settings_options
@json_option
def show(client_id: str, config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Show what is registered of a client; its secrets nobody can show."""

    async def task(ports: Ports, _sealer: Sealer) -> Client:
        return await registering.find(ports, ClientId(client_id))

    row = _row(run(load_settings(config_file, sets), task))
    if as_json:
        click.echo(json.dumps(row))
        return
    for name, value in row.items():
        # Who says nothing about pushing does as the deployment does, so a no is worth saying.
        is_said = value is not False or name == "require_pushed_authorization_requests"
        if is_said and value not in (None, "", []):
            text = value if isinstance(value, str) else json.dumps(value)
            click.echo(f"{name}: {text}")


def _tell_made(
    done: str,
    config_file: Path | None,
    sets: Sequence[str],
    task: Callable[[Ports, Sealer], Awaitable[Registered]],
    target: Path | None,
    as_json: bool,
) -> None:
    settings = load_settings(config_file, sets)
    # Before the secret is made: one that could not be kept would be lost.
    kept = None if target is None else _new_file(target)
    try:
        made = run(settings, task)
    except click.ClickException:
        if target is not None:
            target.unlink()
        raise
    if kept is not None:
        with os.fdopen(kept, "w", encoding="utf-8") as file:
            file.write(f"{made.secret}\n" if made.secret else "")
    if as_json:
        shown = {"client_secret": made.secret} if made.secret and not target else {}
        click.echo(json.dumps(_row(made.client) | shown))
        return
    click.echo(f"{made.client.client_id}: {done}")
    _tell_secrets(made, target)


def _tell_secrets(made: Registered, target: Path | None) -> None:
    for each in secrets_of(made.client):
        if each.until is not None:
            click.echo(f"  an older secret ends {each.until.isoformat(timespec='seconds')}")
    if target:
        click.echo(f"  written to {target}")
    elif made.secret:
        click.echo(f"  secret, shown only now: {made.secret}")


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _row(each: Client) -> dict[str, Any]:
    ending = [secret.until for secret in secrets_of(each) if secret.until is not None]
    row: dict[str, Any] = msgspec.to_builtins(registration_of(each))
    state = {"disabled": each.disabled, "revision": each.revision, "secrets_ending": ending}
    return {"client_id": each.client_id, **row, **msgspec.to_builtins(state)}


def _applied(applied: AppliedClient) -> dict[str, str]:
    document = {"client_id": applied.client_id, "change": applied.change}
    return document if applied.secret is None else document | {"client_secret": applied.secret}
