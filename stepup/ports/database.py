"""PostgreSQL: what must never be lost, inside one transaction."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple, Protocol

from stepup.domain.audit import AuditEvent, AuditRecord
from stepup.domain.authenticator import Authenticator
from stepup.domain.client import Client
from stepup.domain.ids import (
    AttemptId,
    AuthenticatorId,
    ClientId,
    Subject,
    SubjectId,
)
from stepup.domain.keyring import SealedKey
from stepup.domain.revocation import Revocation
from stepup.ports.administrators import AdministratorStore, ApiKeyStore
from stepup.ports.decisions import DecisionStore
from stepup.ports.ledger import Ledger, LedgerStore
from stepup.ports.outbox import AuthenticatorUsed
from stepup.ports.policies import DraftStore, PolicyStore
from stepup.ports.revocation import RevocationStore
from stepup.ports.signals import SignalQueue, SignalSource, StreamStore


class ClientStore(Protocol):
    """Registered clients."""

    async def all(self) -> Sequence[Client]:
        """Return every client."""
        ...

    async def page(self, *, after: str, count: int) -> Sequence[Client]:
        """Return the next clients by identifier, those past `after`."""
        ...

    async def find(self, client_id: ClientId) -> Client | None:
        """Return a client."""
        ...

    async def hold(self, client_id: ClientId) -> Client | None:
        """Return a client, which nobody else changes until this transaction ends."""
        ...

    async def add(self, client: Client) -> bool:
        """Add a client; of concurrent ones with one identifier one gets True."""
        ...

    async def put(self, client: Client) -> None:
        """Add or replace a client."""
        ...


class AuthenticatorStore(Protocol):
    """Enrolled authenticators, their secrets sealed."""

    async def of_subject(self, subject: Subject) -> Sequence[Authenticator]:
        """Return a subject's authenticators, oldest first."""
        ...

    async def of_subjects(
        self, subject_ids: Collection[SubjectId]
    ) -> Mapping[SubjectId, Sequence[Authenticator] | None]:
        """Return what each of many subjects has, oldest first; None where it cannot be opened."""
        ...

    async def find(
        self, subject: Subject, authenticator_id: AuthenticatorId
    ) -> Authenticator | None:
        """Return one authenticator, if it is this subject's."""
        ...

    async def page(
        self, *, after: str, count: int
    ) -> Sequence[tuple[Subject, Sequence[Authenticator]]]:
        """Return the next subjects by identifier, each with all of its authenticators.

        A subject with one that cannot be opened here comes without any.
        """
        ...

    async def add(self, authenticator: Authenticator) -> None:
        """Keep a new authenticator.

        Raises:
            AuthenticatorExistsError: If its credential is enrolled already, by anybody.
        """
        ...

    async def burn_code(
        self, authenticator_id: AuthenticatorId, code_digest: bytes, attempt: AttemptId
    ) -> int | None:
        """Take a recovery code out of its set; returns how many are left.

        None when the set does not have it, or not any more: of concurrent attempts one gets a
        number, and the same attempt gets one again.
        """
        ...

    async def rename(self, subject: Subject, authenticator_id: AuthenticatorId, name: str) -> bool:
        """Give it a new name; False when it is not this subject's."""
        ...

    async def remove(self, subject: Subject, authenticator_id: AuthenticatorId) -> bool:
        """Remove it; of concurrent callers one gets True."""
        ...

    async def record_uses(self, uses: Sequence[AuthenticatorUsed]) -> None:
        """Move last uses, time steps and signature counts forward, never back, all in one step.

        Uses of one authenticator may come in any order; of an unknown one they are passed over.
        """
        ...

    async def seals(
        self, *, after: AuthenticatorId, count: int
    ) -> Sequence[tuple[AuthenticatorId, int]]:
        """Return under which key-encryption key each credential lies, by identifier, a page."""
        ...

    async def seal_again(self, authenticator_ids: Sequence[AuthenticatorId]) -> int:
        """Seal credentials under the current key-encryption key; returns how many.

        Passed over are those that somebody else works on now, those that lie under it already,
        and those that do not open with the keys that are here. It changes no credential: whoever
        expects one before still finds it.
        """
        ...


class KeyStore(Protocol):
    """Sealed keys, and the one clock that all instances age them by."""

    async def now(self) -> datetime:
        """Return the database's time: it is the same for everybody, whatever their clocks say."""
        ...

    async def all(self) -> Sequence[SealedKey]:
        """Return every key that is not gone, oldest first."""
        ...

    async def gone(self) -> Sequence[SealedKey]:
        """Return every key that is gone, oldest first; their rows stay."""
        ...

    async def add(self, key: SealedKey) -> bool:
        """Keep a key; False when one of the same use exists and the first one must win."""
        ...

    async def replace(self, key: SealedKey, *, expected: SealedKey) -> bool:
        """Swap a key if it still is the expected one; of concurrent callers one gets True."""
        ...


class AuditStore(Protocol):
    """The audit log: append-only, each entry once, each chained to the one before it.

    Who appends has the end of the chain to himself until his transaction ends, so he appends last.
    """

    async def append(self, entry_id: str, event: AuditEvent) -> None:
        """Write an event; the same entry again is harmless."""
        ...

    async def append_all(self, entries: Sequence[tuple[str, AuditEvent]]) -> None:
        """Write a batch of events in order; of entries with one identifier the first one stays."""
        ...

    async def adopt(self, count: int) -> int:
        """Chain that many of the oldest entries without a link, as they are; returns how many."""
        ...

    async def chained(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        """Return entries of the chain by position, those past `after`."""
        ...

    async def last_chained(self) -> AuditRecord | None:
        """Return the head of the chain, None when nothing is chained."""
        ...

    async def written(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        """Return entries, chained or not, by `seq`, those past `after`."""
        ...

    async def unchained(self, count: int) -> Sequence[AuditRecord]:
        """Return the oldest entries without a link."""
        ...

    async def count_unchained(self) -> int:
        """Count the entries without a link."""
        ...


class Lease(IntEnum):
    """What one instance at a time does."""

    DRAIN = 1
    KEYS = 2
    CREDENTIALS = 3
    DECISIONS = 4
    POLICIES = 6
    SIGNALS = 8


class LeaseStore(Protocol):
    """Turns that instances take."""

    async def take(self, lease: Lease) -> bool:
        """Take a lease until this transaction ends; False when somebody has it.

        Whoever dies or falls silent loses it with his transaction.
        """
        ...


class Stores(NamedTuple):
    """The stores inside one transaction."""

    policies: PolicyStore
    drafts: DraftStore
    clients: ClientStore
    authenticators: AuthenticatorStore
    keys: KeyStore
    audit: AuditStore
    leases: LeaseStore
    ledger: LedgerStore
    revocations: RevocationStore
    decisions: DecisionStore
    administrators: AdministratorStore
    api_keys: ApiKeyStore
    streams: StreamStore
    signals: SignalQueue
    signal_source: SignalSource


class Database(Protocol):
    """PostgreSQL."""

    @property
    def ledger(self) -> Ledger:
        """The ledger for a request that spends, apart from every transaction."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        The use case opens it and nobody else commits; a refusal that must be recorded is raised
        after the block.
        """
        ...

    async def configuration_version(self) -> int:
        """Return a number that grows whenever a policy, a client or a key changes."""
        ...

    async def authenticators_of(self, subject: Subject) -> Sequence[Authenticator]:
        """Return a subject's authenticators, oldest first, quickly or not at all.

        For whoever is in a hurry and has another way: unavailable after 150 ms, and at once while
        the database is known to be away.
        """
        ...

    async def keep_revocation(self, revocation: Revocation) -> None:
        """Keep a revocation, if that takes no longer than somebody who revokes can wait.

        When it raises the row may be written nevertheless, a moment later.
        """
        ...

    async def check(self) -> None:
        """Return when the database answers."""
        ...
