"""What a development service begins with: a policy, clients, and their file format."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import rich_click as click
import yaml

from stepup import wiring
from stepup.cli.demo import DEFAULT_AUDIENCE
from stepup.config import Settings
from stepup.domain.client import Client, Role
from stepup.domain.ids import ClientId
from stepup.usecases import clients, keys, policies

_AUTHOR = "stepup dev --policy"
_DEFAULT = "stepup dev"


class ClientEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False
):
    """A client as `--clients FILE` and the ready file write it."""

    client_id: str
    client_secret: str = ""
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    roles: tuple[Role, ...] = (Role.PEP, Role.RP)
    audiences: tuple[str, ...] = ()
    subject_issuer: str | None = None
    asserts_subject: bool = False
    asserts_authentication: bool = False


def demo_client(bank: str) -> ClientEntry:
    """Return the demo bank as a client; it asks, redeems, and receives tokens."""
    return ClientEntry(
        client_id="bank",
        name="Demo bank",
        redirect_uris=(f"{bank}/callback",),
        roles=(Role.PEP, Role.RP, Role.RS),
        audiences=(DEFAULT_AUDIENCE,),
        asserts_subject=True,
        asserts_authentication=True,
    )


def read_clients(path: Path) -> tuple[ClientEntry, ...]:
    """Read a YAML or JSON list of clients, or end the command with one line."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert(document, tuple[ClientEntry, ...])
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise click.ClickException(f"{path}: {reason}") from error


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


async def load_policy_and_clients(
    settings: Settings, policy: str | None, entries: Sequence[ClientEntry]
) -> None:
    """Make keys at the first start, put the clients, activate the policy if it is new.

    Without a policy what somebody activated stays; only our own default gives way to a newer one.
    """
    async with wiring.open_ports(settings) as (ports, sealer):
        await keys.ensure_keys(ports, sealer)
        async with ports.database.transaction() as stores:
            keyring = await keys.read_keyring(stores, sealer)
            known = set(await stores.clients.all())
        for entry in entries:
            digest = clients.secret_digest(keyring, ClientId(entry.client_id), entry.client_secret)
            client = _client(entry, digest)
            if client not in known:
                await clients.put(ports, client)
        author = _DEFAULT if policy is None else _AUTHOR
        text = policies.development_document() if policy is None else policy
        active = await policies.find_active(ports)
        stays = active is not None and policy is None and active.author != _DEFAULT
        if not stays and (active is None or active.document != text):
            await policies.activate(ports, text, author)


def _client(entry: ClientEntry, digest: bytes) -> Client:
    return Client(
        client_id=ClientId(entry.client_id),
        name=entry.name or entry.client_id,
        secret_digests=(digest,),
        redirect_uris=entry.redirect_uris,
        roles=frozenset(entry.roles),
        audiences=entry.audiences,
        subject_issuer=entry.subject_issuer,
        asserts_subject=entry.asserts_subject,
        asserts_authentication=entry.asserts_authentication,
    )
