"""PostgreSQL in memory: one transaction at a time, and all of it or nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.domain.audit import AuditEvent
from stepup.domain.authenticator import Authenticator, Credential, WebAuthnCredential
from stepup.domain.client import Client
from stepup.domain.errors import AuthenticatorExistsError
from stepup.domain.ids import AuthenticatorId, ClientId, KeyId, Subject
from stepup.domain.keyring import KeyState, SealedKey
from stepup.ports import (
    AuditStore,
    AuthenticatorStore,
    AuthenticatorUsed,
    ClientStore,
    Database,
    KeyStore,
    PolicyStore,
    PolicyVersion,
    Stores,
)


def memory_database() -> "MemoryDatabase":
    """Return an empty database."""
    return MemoryDatabase()


@dataclass
class Tables:
    """All rows."""

    policies: list[PolicyVersion] = field(default_factory=list)
    clients: dict[ClientId, Client] = field(default_factory=dict)
    authenticators: dict[AuthenticatorId, Authenticator] = field(default_factory=dict)
    keys: dict[KeyId, SealedKey] = field(default_factory=dict)
    audit: dict[str, AuditEvent] = field(default_factory=dict)
    changes: list[None] = field(default_factory=list)

    def copy(self) -> "Tables":
        """Copy every table; the rows are immutable."""
        return Tables(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


class MemoryDatabase(Database):
    """Tables in memory. `tables` is there for tests to look at."""

    def __init__(self) -> None:
        self.tables = Tables()
        self._lock = asyncio.Lock()

    @override
    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Stores]:
        async with self._lock:
            tables = self.tables.copy()
            yield Stores(
                policies=MemoryPolicyStore(tables),
                clients=MemoryClientStore(tables),
                authenticators=MemoryAuthenticatorStore(tables),
                keys=MemoryKeyStore(tables),
                audit=MemoryAuditStore(tables),
            )
            self.tables = tables

    @override
    async def configuration_version(self) -> str:
        return str(len(self.tables.changes))

    @override
    async def check(self) -> None:
        await asyncio.sleep(0)


class MemoryPolicyStore(PolicyStore):
    """Versions in a list."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    async def activate(self, document: str, author: str, now: datetime) -> PolicyVersion:
        version = PolicyVersion(
            version=len(self._tables.policies) + 1,
            document=document,
            author=author,
            activated_at=now,
        )
        self._tables.policies.append(version)
        self._tables.changes.append(None)
        return version

    @override
    async def find_active(self) -> PolicyVersion | None:
        return self._tables.policies[-1] if self._tables.policies else None


class MemoryClientStore(ClientStore):
    """Clients in a dictionary."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    async def all(self) -> Sequence[Client]:
        return list(self._tables.clients.values())

    @override
    async def put(self, client: Client) -> None:
        self._tables.clients[client.client_id] = client
        self._tables.changes.append(None)


class MemoryAuthenticatorStore(AuthenticatorStore):
    """Authenticators in a dictionary."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.authenticators

    @override
    async def of_subject(self, subject: Subject) -> Sequence[Authenticator]:
        own = [a for a in self._rows.values() if a.subject == subject]
        return sorted(own, key=lambda a: (a.created_at, a.id))

    @override
    async def find(
        self, subject: Subject, authenticator_id: AuthenticatorId
    ) -> Authenticator | None:
        found = self._rows.get(authenticator_id)
        return found if found and found.subject == subject else None

    @override
    async def add(self, authenticator: Authenticator) -> None:
        credential_id = _credential_id(authenticator.credential)
        taken = {_credential_id(a.credential) for a in self._rows.values()} - {None}
        if authenticator.id in self._rows or credential_id in taken:
            raise AuthenticatorExistsError
        self._rows[authenticator.id] = authenticator

    @override
    async def replace_credential(
        self,
        authenticator_id: AuthenticatorId,
        *,
        expected: Credential,
        credential: Credential,
    ) -> bool:
        found = self._rows.get(authenticator_id)
        if found is None or found.credential != expected:
            return False
        self._rows[authenticator_id] = msgspec.structs.replace(found, credential=credential)
        return True

    @override
    async def rename(self, subject: Subject, authenticator_id: AuthenticatorId, name: str) -> bool:
        found = await self.find(subject, authenticator_id)
        if found is None:
            return False
        self._rows[authenticator_id] = msgspec.structs.replace(found, name=name)
        return True

    @override
    async def remove(self, subject: Subject, authenticator_id: AuthenticatorId) -> bool:
        found = await self.find(subject, authenticator_id)
        return found is not None and self._rows.pop(authenticator_id, None) is not None

    @override
    async def record_use(self, used: AuthenticatorUsed) -> None:
        found = self._rows.get(used.authenticator_id)
        if found is None:
            return
        credential = found.credential
        if isinstance(credential, WebAuthnCredential):
            backed_up = credential.backed_up if used.backed_up is None else used.backed_up
            credential = msgspec.structs.replace(
                credential,
                sign_count=max(credential.sign_count, used.sign_count or 0),
                backed_up=backed_up,
            )
        self._rows[found.id] = msgspec.structs.replace(
            found,
            credential=credential,
            last_used_at=max(found.last_used_at or used.at, used.at),
        )


def _credential_id(credential: Credential) -> bytes | None:
    return credential.credential_id if isinstance(credential, WebAuthnCredential) else None


class MemoryKeyStore(KeyStore):
    """Keys in a dictionary."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    async def all(self) -> Sequence[SealedKey]:
        return [k for k in self._tables.keys.values() if k.state is not KeyState.GONE]

    @override
    async def add(self, key: SealedKey) -> bool:
        # One key of a use is active: of two instances that start at once the first one wins.
        rival = any(
            key.id == k.id or (key.use is k.use and key.state is k.state is KeyState.ACTIVE)
            for k in self._tables.keys.values()
        )
        if rival:
            return False
        self._tables.keys[key.id] = key
        self._tables.changes.append(None)
        return True


class MemoryAuditStore(AuditStore):
    """Events by the entry they came from."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.audit

    @override
    async def append(self, entry_id: str, event: AuditEvent) -> None:
        self._rows.setdefault(entry_id, event)
