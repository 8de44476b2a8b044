"""Register clients, change them, give them new secrets, take them out of service.

Each change is checked as a whole, is in the audit log, and reaches every instance within seconds.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from stepup.crypto import certificates, client_keys
from stepup.domain import client_secret
from stepup.domain.admin_errors import InsufficientScopeError
from stepup.domain.administrator import Administrator, Scope
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.client import Client
from stepup.domain.client_authentication import AuthMethod, ClientSecret, Profile
from stepup.domain.client_errors import (
    ClientExistsError,
    ClientInvalidError,
    ClientNotFoundError,
    Finding,
    SecretlessClientError,
)
from stepup.domain.client_registration import Registration, client_of, is_promoted
from stepup.domain.client_rules import findings_of
from stepup.domain.ids import ClientId
from stepup.domain.keyring import Keyring
from stepup.domain.policy_errors import RevisionStaleError
from stepup.domain.revocation import Revocation
from stepup.ports import Ports, Stores
from stepup.usecases.clients import secret_digest
from stepup.usecases.revoke import end_with

_SECRET_BYTES = 32
_MADE_WITH_KEYS = frozenset({AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SELF_SIGNED_TLS})


class Registered(NamedTuple):
    """A client, and its new secret if it got one: nobody can show that again."""

    client: Client
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Registered({self.client.client_id})"


async def register(
    ports: Ports,
    keyring: Keyring,
    client_id: ClientId,
    registration: Registration,
    by: Administrator | str,
) -> Registered:
    """Register a client under a new identifier.

    Raises:
        ClientInvalidError: If it could not work.
        ClientExistsError: If there is one with this identifier.
        InsufficientScopeError: If the administrator may not give a client its roles.
    """
    client = checked(ports, client_id, registration)
    _require_grant(None, client, by)
    secret = None
    if client_secret.has_secret(client):
        secret = ports.entropy.token(_SECRET_BYTES)
        digest = secret_digest(keyring, client_id, secret)
        client = client_secret.with_secrets(client, (ClientSecret(digest),))
    client = msgspec.structs.replace(client, revision=1)
    async with ports.database.transaction() as stores:
        if not await stores.clients.add(client):
            raise ClientExistsError
        await _record(ports, stores, client_id, AuditKind.CLIENT_REGISTERED, by)
    await ports.state.changes.announce()
    return Registered(client, secret)


async def change(
    ports: Ports,
    keyring: Keyring,
    client_id: ClientId,
    registration: Registration,
    by: Administrator | str,
    expected_revision: int | None = None,
) -> Registered:
    """Replace what is registered of a client; it keeps its secrets if it has a use for them.

    One that had no use for a secret and has now gets one.

    Raises:
        ClientNotFoundError: If there is none.
        ClientInvalidError: If it could not work.
        RevisionStaleError: If it has another revision by now.
        InsufficientScopeError: If the administrator may not let it do more than before.
    """
    wanted = checked(ports, client_id, registration)
    made: list[str] = []

    async def move(_stores: Stores, held: Client) -> Client:
        _require_grant(held, wanted, by)
        secrets = client_secret.secrets_of(held)
        if client_secret.has_secret(wanted) and not secrets:
            made.append(ports.entropy.token(_SECRET_BYTES))
            secrets = (ClientSecret(secret_digest(keyring, client_id, made[0])),)
        return msgspec.structs.replace(
            client_secret.with_secrets(wanted, secrets), disabled=held.disabled
        )

    moved = await _moving(ports, client_id, move, AuditKind.CLIENT_CHANGED, by, expected_revision)
    return Registered(moved, made[0] if made else None)


async def rotate(
    ports: Ports,
    keyring: Keyring,
    client_id: ClientId,
    overlap: timedelta,
    by: Administrator | str,
) -> Registered:
    """Give a client a new secret; the old one is good until the overlap ends, and then never.

    Raises:
        ClientNotFoundError: If there is none.
        SecretlessClientError: If it authenticates in another way.
    """
    secret = ports.entropy.token(_SECRET_BYTES)
    digest = secret_digest(keyring, client_id, secret)

    async def move(_stores: Stores, held: Client) -> Client:
        if not client_secret.has_secret(held):
            raise SecretlessClientError
        return client_secret.rotated(held, digest, ports.clock.now(), overlap)

    moved = await _moving(ports, client_id, move, AuditKind.CLIENT_SECRET_ROTATED, by)
    return Registered(moved, secret)


async def disable(ports: Ports, client_id: ClientId, by: Administrator | str) -> Client:
    """Take a client out of service and end all that was given to it; again is harmless.

    Raises:
        ClientNotFoundError: If there is none.
        DependencyUnavailableError: If its tokens could not be ended; then nothing has changed.
    """

    async def move(stores: Stores, held: Client) -> Client:
        await end_with(ports, stores, Revocation.of_disabled(client_id, ports.clock.now()))
        return msgspec.structs.replace(held, disabled=True)

    return await _moving(ports, client_id, move, AuditKind.CLIENT_DISABLED, by)


async def enable(ports: Ports, client_id: ClientId, by: Administrator | str) -> Client:
    """Put a client into service again; what was ended stays ended.

    Raises:
        ClientNotFoundError: If there is none.
        InsufficientScopeError: If the administrator may not let it do more than before.
        DependencyUnavailableError: If it cannot be seen to that; then nothing has changed.
    """

    async def move(stores: Stores, held: Client) -> Client:
        _require_grant(None, held, by)
        # An instance that was cut off may have served it all the time.
        if held.disabled:
            await end_with(ports, stores, Revocation.of_client(client_id, ports.clock.now()))
        return msgspec.structs.replace(held, disabled=False)

    return await _moving(ports, client_id, move, AuditKind.CLIENT_ENABLED, by)


async def find(ports: Ports, client_id: ClientId) -> Client:
    """Return a client as PostgreSQL has it.

    Raises:
        ClientNotFoundError: If there is none.
    """
    async with ports.database.transaction() as stores:
        found = await stores.clients.find(client_id)
    if found is None:
        raise ClientNotFoundError
    return found


async def list_clients(ports: Ports, *, after: str, count: int) -> Sequence[Client]:
    """Return the next clients by identifier, those past `after`."""
    async with ports.database.transaction() as stores:
        return await stores.clients.page(after=after, count=count)


async def put(ports: Ports, client: Client, by: str = "host") -> Client:
    """Register a client, or replace what was registered under its identifier, as it is."""
    async with ports.database.transaction() as stores:
        held = await stores.clients.hold(client.client_id)
        kept = msgspec.structs.replace(client, revision=held.revision + 1 if held else 1)
        await stores.clients.put(kept)
        await _record(ports, stores, client.client_id, AuditKind.CLIENT_CHANGED, by)
    await ports.state.changes.announce()
    return kept


def checked(ports: Ports, client_id: ClientId, registration: Registration) -> Client:
    """Return the client that is registered, without any secret.

    Raises:
        ClientInvalidError: If it could not work, with all that is wrong.
    """
    client = client_of(registration, client_id)
    findings = [
        *findings_of(client, registration, ports.site),
        *_findings_of_keys(client),
        *_findings_of_url(ports, client),
        *_findings_of_subject(client),
    ]
    if findings:
        raise ClientInvalidError(findings)
    return client


def _findings_of_keys(client: Client) -> list[Finding]:
    if not client.jwks:
        return []
    try:
        keys = client_keys.read_keys(client.jwks)
    except ValueError as error:
        return [Finding("jwks", str(error))]
    is_fapi = client.profile is Profile.FAPI2
    usable = client_keys.FAPI_ALGORITHMS if is_fapi else client_keys.ALGORITHMS
    needs_one = client.auth_method in _MADE_WITH_KEYS or client.signed_requests_only
    if needs_one and all(key.algorithms.isdisjoint(usable) for key in keys):
        return [Finding("jwks", f"no key verifies any of {', '.join(sorted(usable))}")]
    return []


def _findings_of_url(ports: Ports, client: Client) -> list[Finding]:
    url = client.jwks_uri
    if url is None or url.startswith("https://"):
        return []
    if ports.site.development and url.startswith("http://"):
        return []
    return [Finding("jwks_uri", "must use https")]


def _findings_of_subject(client: Client) -> list[Finding]:
    if client.tls_subject is None:
        return []
    try:
        certificates.check_subject(client.tls_subject)
    except ValueError as error:
        return [Finding(client.tls_subject.name.value, str(error))]
    return []


def _require_grant(before: Client | None, after: Client, by: Administrator | str) -> None:
    # The host's operator has the database.
    if isinstance(by, str) or not is_promoted(before, after):
        return
    if not by.may(Scope.CLIENTS_GRANT):
        raise InsufficientScopeError(Scope.CLIENTS_GRANT)


async def _moving(
    ports: Ports,
    client_id: ClientId,
    move: Callable[[Stores, Client], Awaitable[Client]],
    kind: AuditKind,
    by: Administrator | str,
    expected_revision: int | None = None,
) -> Client:
    async with ports.database.transaction() as stores:
        held = await stores.clients.hold(client_id)
        if held is None:
            raise ClientNotFoundError
        if expected_revision not in {None, held.revision}:
            raise RevisionStaleError(held.revision)
        moved = await move(stores, held)
        moved = msgspec.structs.replace(moved, revision=held.revision)
        if moved == held:
            return held
        moved = msgspec.structs.replace(moved, revision=held.revision + 1)
        await stores.clients.put(moved)
        await _record(ports, stores, client_id, kind, by)
    await ports.state.changes.announce()
    return moved


async def _record(
    ports: Ports,
    stores: Stores,
    client_id: ClientId,
    kind: AuditKind,
    by: Administrator | str,
) -> None:
    event = AuditEvent(
        kind=kind,
        at=ports.clock.now(),
        client_id=client_id,
        details={"by": by if isinstance(by, str) else by.id},
    )
    await stores.audit.append(ports.entropy.token(16), event)
