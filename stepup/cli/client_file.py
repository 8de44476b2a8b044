"""The file of clients that `stepup dev --clients` and `stepup client apply` read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
import yaml

from stepup.cli.files import read_text
from stepup.domain.client_registration import Registration
from stepup.domain.client_secret import takes_secret


class ClientEntry(Registration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client as the file and the ready file write it; `client_secret` is empty when not given.

    `name` is what older files say for `client_name`.
    """

    client_id: str
    client_secret: str = ""
    name: str = ""

    @property
    def registration(self) -> Registration:
        """What is registered of it."""
        fields = {name: getattr(self, name) for name in Registration.__struct_fields__}
        return Registration(**fields | {"client_name": self.client_name or self.name})

    @property
    def takes_secret(self) -> bool:
        """Say whether the client authenticates with a secret."""
        return takes_secret(self.token_endpoint_auth_method)

    def __repr__(self) -> str:
        return f"ClientEntry({self.client_id})"


def read_clients(path: Path) -> tuple[ClientEntry, ...]:
    """Read a YAML or JSON list of clients, or end the command with one line.

    `client_secret_file` names a file with the secret, seen from the folder of the list.
    """
    with _told_of(path):
        document = yaml.safe_load(read_text(path))
        if isinstance(document, list):
            document = [_with_secret_of_file(entry, path.parent) for entry in document]
        entries = msgspec.convert(document, tuple[ClientEntry, ...])
        _refuse_doubles(entries)
        _refuse_idle_secrets(entries)
    return entries


def read_client(path: Path) -> ClientEntry:
    """Read one client that is to be registered, or end the command with one line."""
    with _told_of(path):
        entry = msgspec.convert(yaml.safe_load(read_text(path)), ClientEntry)
        if entry.client_secret:
            raise ValueError("the secret of a new client is made here; `apply` takes a given one")
    return entry


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise click.ClickException(f"{path}: {reason}") from error


def with_secrets(
    entries: Sequence[ClientEntry], secret_of: Callable[[str], str]
) -> tuple[ClientEntry, ...]:
    """Give a secret to the clients that came without one and have a use for it."""
    return tuple(
        entry
        if entry.client_secret or not entry.takes_secret
        else msgspec.structs.replace(entry, client_secret=secret_of(entry.client_id))
        for entry in entries
    )


def _with_secret_of_file(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict) or "client_secret_file" not in entry:
        return entry
    table = dict(entry)
    if "client_secret" in table:
        raise ValueError("client_secret and client_secret_file contradict each other")
    secret = read_text(folder / str(table.pop("client_secret_file"))).strip()
    if not secret:
        raise ValueError("the file that client_secret_file names is empty")
    return table | {"client_secret": secret}


def _refuse_doubles(entries: Sequence[ClientEntry]) -> None:
    for client_id, count in Counter(entry.client_id for entry in entries).items():
        if not client_id:
            raise ValueError("a client_id is empty")
        if count > 1:
            raise ValueError(f"client {client_id} is there {count} times")


def _refuse_idle_secrets(entries: Sequence[ClientEntry]) -> None:
    for entry in entries:
        if entry.client_secret and not entry.takes_secret:
            method = entry.token_endpoint_auth_method
            raise ValueError(f"client {entry.client_id} has a secret, and no use for it: {method}")
