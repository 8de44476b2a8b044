"""The file of clients that `stepup dev --clients` and `stepup client apply` read."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
import yaml

from stepup.cli.files import read_text
from stepup.domain.client import Client, Role
from stepup.domain.ids import ClientId


class ClientEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False
):
    """A client as the file and the ready file write it; `client_secret` is empty when not given."""

    client_id: str
    client_secret: str = ""
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    roles: tuple[Role, ...] = (Role.PEP, Role.RP)
    audiences: tuple[str, ...] = ()
    subject_issuer: str | None = None
    asserts_subject: bool = False
    asserts_authentication: bool = False

    def __repr__(self) -> str:
        return f"ClientEntry({self.client_id})"


def read_clients(path: Path) -> tuple[ClientEntry, ...]:
    """Read a YAML or JSON list of clients, or end the command with one line.

    `client_secret_file` names a file with the secret, seen from the folder of the list.
    """
    try:
        document = yaml.safe_load(read_text(path))
        if isinstance(document, list):
            document = [_with_secret_of_file(entry, path.parent) for entry in document]
        entries = msgspec.convert(document, tuple[ClientEntry, ...])
        _refuse_doubles(entries)
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise click.ClickException(f"{path}: {reason}") from error
    return entries


def with_secrets(
    entries: Sequence[ClientEntry], secret_of: Callable[[str], str]
) -> tuple[ClientEntry, ...]:
    """Give a secret to the clients that came without one."""
    return tuple(
        entry
        if entry.client_secret
        else msgspec.structs.replace(entry, client_secret=secret_of(entry.client_id))
        for entry in entries
    )


def client_of(entry: ClientEntry, secret_digests: tuple[bytes, ...]) -> Client:
    """Return the client that an entry describes."""
    return Client(
        client_id=ClientId(entry.client_id),
        name=entry.name or entry.client_id,
        secret_digests=secret_digests,
        redirect_uris=entry.redirect_uris,
        roles=frozenset(entry.roles),
        audiences=entry.audiences,
        subject_issuer=entry.subject_issuer,
        asserts_subject=entry.asserts_subject,
        asserts_authentication=entry.asserts_authentication,
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
