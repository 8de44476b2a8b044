"""`stepup keys`: the keys that sign tokens, and those that seal secrets."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from stepup import wiring
from stepup.cli.as_json import json_array_option, json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.operating import operate
from stepup.cli.rewrap import rewrap
from stepup.cli.settings import load_settings, settings_options
from stepup.cli.wrap import wrap
from stepup.config import Settings
from stepup.crypto.sealing import Sealer
from stepup.domain.ids import KeyId
from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import SIGNING_USES, KeyState, KeyUse, Ring, SealedKey
from stepup.ports import Ports
from stepup.usecases import rotate as rotation
from stepup.usecases.key_turns import KeyNotFoundError

_Done = TypeVar("_Done")

_COLUMNS = ["KID", "USE", "ALGORITHM", "REGION", "STATE", "CREATED", "SINCE", "UNTIL"]
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
)


@click.group()
def keys() -> None:
    """Look after the keys that sign tokens and seal secrets."""


@keys.command(name="list")
@settings_options
@click.option("--all", "with_gone", is_flag=True, help="Keys that are gone as well.")
@json_array_option
def list_keys(
    config_file: Path | None, sets: Sequence[str], with_gone: bool, as_json: bool
) -> None:
    """List keys: what each is for, where, how it stands, since when, and until when.

    Until then an announced key does not sign by itself, and a retiring one is published.
    """
    settings = load_settings(config_file, sets)
    rules = wiring.key_rules(settings)

    async def every(ports: Ports, _sealer: Sealer) -> Sequence[SealedKey]:
        async with ports.database.transaction() as stores:
            gone = await stores.keys.gone() if with_gone else []
            return [*gone, *await stores.keys.all()]

    rows = [_row(key, rules) for key in asyncio.run(operate(settings, every))]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("there are no keys: the first start makes them")
        return
    table = [_COLUMNS, *([value or "-" for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = zip(line, widths, strict=True)
        click.echo("  ".join(text.ljust(width) for text, width in cells).rstrip())


@keys.command()
@settings_options
@click.option(
    "--use",
    type=click.Choice([use.value for use in SIGNING_USES]),
    default=KeyUse.TOKEN.value,
    show_default=True,
    help="What the key is for.",
)
@click.option("--algorithm", help="Of that use; by default the one that the settings name first.")
@click.option(
    "--emergency",
    is_flag=True,
    help="Sign with it at once: verifiers that do not know it yet must ask for keys.",
)
@click.option(
    "--force", is_flag=True, help="With --emergency: also twice within 15 minutes, to a new key."
)
@_dry_run_option
@json_option
def rotate(
    config_file: Path | None,
    sets: Sequence[str],
    emergency: bool,
    dry_run: bool,
    as_json: bool,
    **which: Any,
) -> None:
    """Sign with another key as soon as every cache knows it; the old one retires then.

    One ring is meant: the keys of one use and one algorithm in the region of the settings. Asking
    again changes nothing; in an emergency it is refused for as long as verifiers cannot know the
    key after the next. What the old key signed stays good.
    """
    settings = load_settings(config_file, sets)
    rules = wiring.key_rules(settings)
    ring, force = _ring(settings, which["use"], which["algorithm"]), which["force"]
    if emergency and dry_run:
        found = _run(
            settings, lambda ports, _: rotation.would_sign_at_once(ports, ring, force=force)
        )
        if as_json:
            click.echo(json.dumps(_row(found, rules) if found else None))
        else:
            click.echo(_at_once(found))
    elif dry_run:
        found = _run(settings, lambda ports, _: rotation.successor(ports, ring))
        _say_next(found, rules, as_json=as_json)
    elif emergency:
        key = _run(
            settings,
            lambda ports, sealer: rotation.rotate_at_once(ports, sealer, ring, force=force),
        )
        _say_next(key, rules, as_json=as_json)
    else:
        key = _run(settings, lambda ports, sealer: rotation.rotate(ports, sealer, ring))
        _say_next(key, rules, as_json=as_json)


@keys.command()
@settings_options
@click.argument("kid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run_option
@json_option
def revoke(
    config_file: Path | None,
    sets: Sequence[str],
    kid: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take a signing key away at once and for good: KID leaked. What it signed dies everywhere.

    The next key signs at once. If the machine that leaked KID held the others too, revoke the
    announced one first.
    """
    settings = load_settings(config_file, sets)
    if dry_run:
        found = _run(settings, lambda ports, _: rotation.would_sign_after(ports, KeyId(kid)))
        signs = found.id if found else None
        if as_json:
            click.echo(json.dumps({"revoked": None, "active": signs}))
        else:
            click.echo(
                f"{kid} would be gone for good, and every token that it signed would be refused "
                f"everywhere; {signs or 'a new key'} would sign"
            )
        return
    if not yes:
        click.confirm(f"Every token that {kid} signed dies. Revoke it?", abort=True, err=True)
    rules = wiring.key_rules(settings)
    active = _run(settings, lambda ports, sealer: rotation.revoke(ports, sealer, KeyId(kid), rules))
    if as_json:
        click.echo(json.dumps({"revoked": kid, "active": active.id}))
    else:
        click.echo(f"{kid} is revoked; {active.id} signs")


@keys.command()
@settings_options
@click.argument("kid")
@json_option
def restore(config_file: Path | None, sets: Sequence[str], kid: str, as_json: bool) -> None:
    """Publish a key again that was removed, as retiring; a revoked one stays gone."""
    settings = load_settings(config_file, sets)
    key = _run(settings, lambda ports, _sealer: rotation.restore(ports, KeyId(kid)))
    row = _row(key, wiring.key_rules(settings))
    click.echo(json.dumps(row) if as_json else f"{kid} is published again until {row['until']}")


keys.add_command(rewrap)
keys.add_command(wrap)


def _ring(settings: Settings, use: str, algorithm: str | None) -> Ring:
    plan = wiring.key_plan(settings)
    try:
        return plan.ring(KeyUse(use), algorithm)
    except LookupError:
        named = ", ".join(plan.algorithms_of(KeyUse(use)))
        message = f"the settings name {named} for {use}, not {algorithm}"
        raise click.BadParameter(message, param_hint="--algorithm") from None


def _at_once(key: SealedKey | None) -> str:
    if key is None:
        return "a new key, which no verifier knows, would be made and sign at once"
    return f"{key.id}, announced {key.created_at.isoformat(timespec='seconds')}, would sign at once"


def _say_next(key: SealedKey | None, rules: KeyRules, *, as_json: bool) -> None:
    if key is None:
        click.echo(json.dumps(None) if as_json else "a new key would be announced now")
        return
    row = _row(key, rules)
    if as_json:
        click.echo(json.dumps(row))
    elif key.state is KeyState.ACTIVE:
        click.echo(f"{key.id} signs")
    else:
        click.echo(f"{key.id} is announced and may sign from {row['until']}")


def _row(key: SealedKey, rules: KeyRules) -> dict[str, str | None]:
    until = None
    if key.state is KeyState.ANNOUNCED:
        until = rules.promotable_at(key)
    elif key.state is KeyState.RETIRING:
        until = rules.removable_at(key)
    return {
        "kid": key.id,
        "use": key.use,
        "algorithm": key.algorithm,
        "region": key.region or None,
        "state": "revoked" if key.revoked_at else key.state,
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "since": key.stands_since.isoformat(timespec="seconds"),
        "until": until.isoformat(timespec="seconds") if until else None,
    }


def _run(settings: Settings, task: Callable[[Ports, Sealer], Awaitable[_Done]]) -> _Done:
    try:
        return asyncio.run(operate(settings, task))
    except KeyNotFoundError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(FINDINGS) from error
    except rotation.RotatedJustNowError as error:
        click.echo(f"Error: {error}; --force does it nevertheless", err=True)
        raise SystemExit(FINDINGS) from error
    except rotation.KeyChangeUnknownError as error:
        raise click.ClickException(str(error)) from error
