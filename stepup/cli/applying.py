"""Bring policy, clients and keys to what an operator wants; harmless to repeat.

The one way for `stepup dev`, `stepup policy apply`, `stepup client apply` and the first start of
`stepup serve`.
"""

import secrets
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from stepup.cli.client_file import ClientEntry
from stepup.crypto.sealing import Sealer
from stepup.domain import client_secret
from stepup.domain.client import Client
from stepup.domain.client_authentication import ClientSecret
from stepup.domain.client_errors import ClientInvalidError
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import ClientId
from stepup.domain.keyring import Keyring
from stepup.ports import Ports
from stepup.usecases import clients, keys, policies, registering

_SECRET_BYTES = 32


class AppliedPolicy(NamedTuple):
    """The version that is active now, and whether it was made by this."""

    version: int
    changed: bool


class AppliedClient(NamedTuple):
    """What became of a client; `secret` is there only when it was made here."""

    client_id: str
    change: Literal["created", "changed", "unchanged"]
    secret: str | None = None

    def __repr__(self) -> str:
        return f"AppliedClient({self.client_id}, {self.change})"


async def apply_policy(ports: Ports, sealer: Sealer, text: str, author: str) -> AppliedPolicy:
    """Activate a document unless it is the active one already.

    What is activated is recorded, and the record is chained under a key: it may be the first one.

    Raises:
        PolicyInvalidError: If the document has errors.
    """
    compared = await compare_policy(ports, text)
    if not compared.changed:
        return compared
    await keys.ensure_keys(ports, sealer)
    activated = await policies.activate(ports, text, author)
    return AppliedPolicy(activated.version, changed=True)


async def compare_policy(ports: Ports, text: str) -> AppliedPolicy:
    """Say what `apply_policy` would do with a document that has been checked."""
    active = await policies.find_active(ports)
    if active is not None and active.document == text:
        return AppliedPolicy(active.version, changed=False)
    return AppliedPolicy(active.version + 1 if active else 1, changed=True)


async def apply_clients(
    ports: Ports, sealer: Sealer, entries: Sequence[ClientEntry]
) -> list[AppliedClient]:
    """Register the clients that are new or differ.

    A client that came without a secret keeps the one it has; a new one gets one made here.

    Raises:
        ClientInvalidError: If one of them could not work; then none is registered.
    """
    for entry in entries:
        try:
            registering.checked(ports, ClientId(entry.client_id), entry.registration)
        except ClientInvalidError as error:
            raise ClientInvalidError(error.findings, entry.client_id) from None
    await keys.ensure_keys(ports, sealer)
    async with ports.database.transaction() as stores:
        keyring = await keys.read_keyring(stores, sealer)
        known = {client.client_id: client for client in await stores.clients.all()}
    return [
        await _apply_client(ports, keyring, entry, known.get(ClientId(entry.client_id)))
        for entry in entries
    ]


async def _apply_client(
    ports: Ports, keyring: Keyring, entry: ClientEntry, known: Client | None
) -> AppliedClient:
    client_id = ClientId(entry.client_id)
    wanted = registering.checked(ports, client_id, entry.registration)
    made, current = None, client_secret.secrets_of(known) if known else ()
    if client_secret.has_secret(wanted) and (entry.client_secret or not current):
        made = None if entry.client_secret else secrets.token_urlsafe(_SECRET_BYTES)
        digest = clients.secret_digest(keyring, client_id, made or entry.client_secret)
        # One that is registered already stands, and with it what it is about to replace.
        if current[:1] != (ClientSecret(digest),):
            current = (ClientSecret(digest),)
    wanted = client_secret.with_secrets(wanted, current)
    if known is not None:
        # Whether it is in service is said in other ways.
        wanted = msgspec.structs.replace(wanted, disabled=known.disabled, revision=known.revision)
    if wanted == known:
        return AppliedClient(entry.client_id, "unchanged")
    await registering.put(ports, wanted)
    return AppliedClient(entry.client_id, "changed" if known else "created", made)


async def first_start_if_possible(ports: Ports, sealer: Sealer) -> bool | None:
    """Do `first_start`; None while the database is away."""
    try:
        return await first_start(ports, sealer)
    except DependencyUnavailableError:
        return None


async def first_start(ports: Ports, sealer: Sealer) -> bool:
    """Make the keys of a deployment that has none; say whether it has a policy.

    Raises:
        UnsealError: If it has keys that we cannot open.
    """
    await keys.ensure_keys(ports, sealer)
    async with ports.database.transaction() as stores:
        await keys.read_keyring(stores, sealer)
        return await stores.policies.find_active() is not None
