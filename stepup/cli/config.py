"""`stepup config`: what can be set, what is set, and whether it is right."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.settings import load_settings, read_settings, settings_options
from stepup.config import REQUIRED, TYPES, Secret, default_text, describe, is_secret


@click.group()
def config() -> None:
    """Look at settings: STEPUP_* variables, a TOML file, `--set`."""


@config.command()
@settings_options
@json_option
def show(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Print every setting and where its value comes from; secrets stay hidden."""
    given = read_settings(config_file, sets)
    settings = load_settings(config_file, sets)
    rows = {
        key: {
            "value": _shown(getattr(settings, key)),
            "source": given[key].source if key in given else "default",
        }
        for key in TYPES
    }
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for key, row in rows.items():
        click.echo(f"{key} = {json.dumps(row['value'])}  ({row['source']})")


@config.command()
@settings_options
def check(config_file: Path | None, sets: Sequence[str]) -> None:
    """Exit with 0 when the service would accept these settings."""
    settings = load_settings(config_file, sets)
    click.echo(f"settings are complete; the issuer is {settings.issuer}")


@config.command()
@click.argument("key")
def explain(key: str) -> None:
    """Say what one setting is for."""
    name = key.lower().removeprefix("stepup_").replace("-", "_")
    if name not in TYPES:
        raise click.BadParameter(f"there is no setting {key!r}", param_hint="KEY")
    click.echo(f"STEPUP_{name.upper()}: {describe(name)}")
    click.echo(f"default: {default_text(name) or 'none'}")
    if is_secret(name):
        click.echo(f"It is a secret; STEPUP_{name.upper()}_FILE may name a file that holds it.")


@config.command()
def docs() -> None:
    """Print all settings as the Markdown of docs/settings.md."""
    click.echo(settings_page(), nl=False)


def settings_page() -> str:
    """Return docs/settings.md."""
    return "\n".join([*_INTRODUCTION, *_rows(), ""])


_INTRODUCTION = (
    "# Settings",
    "",
    "A setting comes from a TOML file (`--config FILE` or `STEPUP_CONFIG`), then from the",
    "environment (`STEPUP_<KEY>`), then from `--set key=value`; the later one wins. An unknown or",
    "malformed key stops the start with one line that names it.",
    "",
    "Durations are written `500ms`, `10s`, `2m`, `1h`, `1d`. Lists are separated by commas in the",
    "environment and are arrays in TOML. A secret (marked *secret*) may lie in a file that",
    "`STEPUP_<KEY>_FILE` names; the `client_secret` of an upstream likewise in",
    "`client_secret_file`.",
    "",
    "This page is written by `stepup config docs`.",
    "",
    "| key | default | what it is |",
    "|---|---|---|",
)


def _rows() -> Iterator[str]:
    for key in TYPES:
        default = default_text(key)
        shown = f"`{default}`" if default and " " not in default else default
        if key in REQUIRED:
            shown = "must be given"
        secret = " *secret*" if is_secret(key) else ""
        yield f"| `{key}`{secret} | {shown} | {describe(key)} |"


def _shown(value: Any) -> Any:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return msgspec.to_builtins(value, enc_hook=lambda _secret: "***")
