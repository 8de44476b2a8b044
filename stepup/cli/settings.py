"""Settings as commands take them: from the environment, a file and `--set`."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from stepup.config import Settings
from stepup.config_reading import Given, SettingsError, load, read
from stepup.ports.key_wrapping import KeyWrapError

_Command = TypeVar("_Command", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings; STEPUP_CONFIG names it too.",
)
set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="One setting; wins over the environment and the file.",
)


def settings_options(command: _Command) -> _Command:
    """Give a command the options that `load_settings` wants."""
    return config_option(set_option(command))


def load_settings(config_file: Path | None, sets: Sequence[str]) -> Settings:
    """Read all settings or end the command with one line."""
    try:
        return load(os.environ, config_file, parse_sets(sets))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def with_keys(settings: Settings) -> Settings:
    """Return settings that hold the key-encryption keys, or end the command with one line."""
    from stepup import wiring  # noqa: PLC0415  most commands that read settings open nothing

    try:
        return wiring.with_keys(settings)
    except KeyWrapError as error:
        raise click.ClickException(str(error)) from error


def read_settings(config_file: Path | None, sets: Sequence[str]) -> dict[str, Given]:
    """Read the settings that are given, or end the command with one line."""
    try:
        return read(os.environ, config_file, parse_sets(sets))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def parse_sets(sets: Sequence[str]) -> Mapping[str, str]:
    """Take `KEY=VALUE` apart."""
    pairs: dict[str, str] = {}
    for entry in sets:
        key, equals, value = entry.partition("=")
        if not equals:
            raise click.BadParameter(f"{entry!r} is not KEY=VALUE", param_hint="--set")
        pairs[key.strip()] = value
    return pairs
