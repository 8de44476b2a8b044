"""`stepup keys wrap`: key-encryption keys that only a PKCS#11 token opens."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import rich_click as click

from stepup import wiring
from stepup.cli.settings import read_settings, settings_options
from stepup.ports.key_wrapping import KeyWrapError

_KEY_BYTES = 32


@click.command()
@settings_options
@click.option("--create", is_flag=True, help="First make the wrapping key inside the token.")
@click.option(
    "--number",
    type=click.IntRange(1, 2**32 - 1),
    default=1,
    show_default=True,
    help="Of a new key.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Wrap the keys of this file, `1:<base64>` a line, in place of a new one.",
)
def wrap(
    config_file: Path | None,
    sets: Sequence[str],
    create: bool,
    number: int,
    source: Path | None,
) -> None:
    """Wrap a new key-encryption key, or those there are, by the key of a PKCS#11 token.

    What it prints goes into `key_encryption_keys`, with `key_encryption_source` `pkcs11`: it is no
    secret. Only the settings that begin with `pkcs11_` are needed.
    """
    given = {key: value.value for key, value in read_settings(config_file, sets).items()}
    try:
        token = wiring.pkcs11_keys(given)
        if create:
            token.create_key()
        keys = {number: secrets.token_bytes(_KEY_BYTES)} if source is None else _keys_in(source)
        wrapped = {each: token.wrap(each, key) for each, key in keys.items()}
        # What cannot be opened again must not be what everything is sealed under.
        if {each: token.unwrap(each, entry) for each, entry in wrapped.items()} != keys:
            raise click.ClickException("the token does not open what it wrapped")
    except KeyWrapError as error:
        raise click.ClickException(str(error)) from error
    click.echo(",".join(f"{each}:{entry}" for each, entry in wrapped.items()))


def _keys_in(path: Path) -> Mapping[int, bytes]:
    try:
        return wiring.keys_in_file(path)
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from error
