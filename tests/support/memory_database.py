"""PostgreSQL in memory: one transaction at a time, and all of it or nothing."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import date, datetime

import msgspec
from typing_extensions import override

from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import START, ChainHead
from stepup.domain.administrator import ApiKey, Appointment
from stepup.domain.audit import AuditEvent, AuditKind, AuditRecord
from stepup.domain.authenticator import (
    Authenticator,
    Credential,
    RecoveryCodes,
    WebAuthnCredential,
)
from stepup.domain.client import Client
from stepup.domain.errors import AuthenticatorExistsError, DependencyUnavailableError
from stepup.domain.ids import (
    ApiKeyId,
    AttemptId,
    AuthenticatorId,
    ClientId,
    DecisionId,
    KeyId,
    Subject,
    SubjectId,
    TokenId,
)
from stepup.domain.keyring import KeyState, SealedKey
from stepup.domain.recorded_decision import RecordedDecision
from stepup.domain.revocation import Revocation
from stepup.ports import (
    AuditStore,
    AuthenticatorStore,
    AuthenticatorUsed,
    ClientStore,
    Clock,
    CodeRedeemed,
    Database,
    KeyStore,
    Lease,
    LeaseStore,
    Ledger,
    LedgerRow,
    LedgerStore,
    RefreshUsed,
    RevocationStore,
    Stores,
    TokenConsumed,
    WrittenRevocation,
)
from tests.support.determinism import StillClock
from tests.support.memory_administrators import MemoryAdministratorStore, MemoryApiKeyStore
from tests.support.memory_decisions import MemoryDecisionStore
from tests.support.memory_policies import MemoryDraftStore, MemoryPolicyStore, PolicyRows
from tests.support.memory_signals import (
    MemorySignalQueue,
    MemorySignalSource,
    MemoryStreamStore,
    SignalRows,
)

CHAIN_KEY = audit_chain.chain_key(bytes(32))


def memory_database(clock: Clock | None = None) -> "MemoryDatabase":
    """Return an empty database; its clock stands still unless it is given one."""
    return MemoryDatabase(clock or StillClock())


@dataclass
class Tables:
    """All rows."""

    policies: PolicyRows = field(default_factory=PolicyRows)
    clients: dict[ClientId, Client] = field(default_factory=dict)
    authenticators: dict[AuthenticatorId, Authenticator] = field(default_factory=dict)
    keys: dict[KeyId, SealedKey] = field(default_factory=dict)
    ledger: dict[tuple[type[LedgerRow], str], LedgerRow] = field(default_factory=dict)
    audit: dict[str, AuditRecord] = field(default_factory=dict)
    changes: list[None] = field(default_factory=list)
    revocations: list[Revocation] = field(default_factory=list)
    decisions: dict[DecisionId, RecordedDecision] = field(default_factory=dict)
    decision_days: set[date] = field(default_factory=set)
    administrators: dict[Subject, Appointment] = field(default_factory=dict)
    api_keys: dict[ApiKeyId, ApiKey] = field(default_factory=dict)
    signals: SignalRows = field(default_factory=SignalRows)

    def events(self) -> list[AuditEvent]:
        """Return what the audit log tells, in order."""
        return [event_of(record) for record in self.audit.values()]

    def copy(self) -> "Tables":
        """Copy every table; the rows are immutable."""
        return Tables(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


class MemoryDatabase(Database):
    """Tables in memory. `tables` is there for tests to look at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tables = Tables()
        self._lock = asyncio.Lock()
        self._ledger = MemoryLedger(self)

    @property
    @override
    def ledger(self) -> "MemoryLedger":
        return self._ledger

    @override
    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Stores]:
        async with self._lock:
            tables = self.tables.copy()
            yield Stores(
                policies=MemoryPolicyStore(tables),
                drafts=MemoryDraftStore(tables.policies),
                clients=MemoryClientStore(tables),
                authenticators=MemoryAuthenticatorStore(tables),
                keys=MemoryKeyStore(tables, self._clock),
                audit=MemoryAuditStore(tables),
                leases=MemoryLeaseStore(),
                ledger=MemoryLedgerStore(tables),
                revocations=MemoryRevocationStore(tables),
                decisions=MemoryDecisionStore(tables.decisions, tables.decision_days),
                administrators=MemoryAdministratorStore(tables.administrators),
                api_keys=MemoryApiKeyStore(tables.api_keys),
                streams=MemoryStreamStore(tables.signals),
                signals=MemorySignalQueue(tables.signals),
                signal_source=MemorySignalSource(tables.signals, tables.authenticators),
            )
            self.tables = tables

    @override
    async def configuration_version(self) -> int:
        return len(self.tables.changes)

    @override
    async def authenticators_of(self, subject: Subject) -> Sequence[Authenticator]:
        async with self.transaction() as stores:
            return await stores.authenticators.of_subject(subject)

    @override
    async def keep_revocation(self, revocation: Revocation) -> None:
        async with self.transaction() as stores:
            await stores.revocations.add([revocation])

    @override
    async def check(self) -> None:
        await asyncio.sleep(0)


AWAY = "The database does not answer; try again shortly."


class AwayDatabase(MemoryDatabase):
    """PostgreSQL that does not answer, to anything."""

    @override
    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        raise DependencyUnavailableError(AWAY)

    @override
    async def configuration_version(self) -> int:
        raise DependencyUnavailableError(AWAY)

    @override
    async def check(self) -> None:
        raise DependencyUnavailableError(AWAY)


class MemoryClientStore(ClientStore):
    """Clients in a dictionary."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    async def all(self) -> Sequence[Client]:
        return list(self._tables.clients.values())

    @override
    async def page(self, *, after: str, count: int) -> Sequence[Client]:
        later = sorted(name for name in self._tables.clients if name > after)
        return [self._tables.clients[name] for name in later[:count]]

    @override
    async def find(self, client_id: ClientId) -> Client | None:
        return self._tables.clients.get(client_id)

    @override
    async def hold(self, client_id: ClientId) -> Client | None:
        return await self.find(client_id)

    @override
    async def add(self, client: Client) -> bool:
        if client.client_id in self._tables.clients:
            return False
        await self.put(client)
        return True

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
    async def of_subjects(
        self, subject_ids: Collection[SubjectId]
    ) -> Mapping[SubjectId, Sequence[Authenticator] | None]:
        oldest_first = sorted(self._rows.values(), key=lambda a: (a.created_at, a.id))
        return {
            subject_id: [a for a in oldest_first if a.subject.id == subject_id]
            for subject_id in subject_ids
        }

    @override
    async def page(
        self, *, after: str, count: int
    ) -> Sequence[tuple[Subject, Sequence[Authenticator]]]:
        subjects = {a.subject.id: a.subject for a in self._rows.values() if a.subject.id > after}
        chosen = [subjects[subject_id] for subject_id in sorted(subjects)[:count]]
        return [(subject, await self.of_subject(subject)) for subject in chosen]

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
    async def burn_code(
        self, authenticator_id: AuthenticatorId, code_digest: bytes, attempt: AttemptId
    ) -> int | None:
        found = self._rows.get(authenticator_id)
        if found is None or not isinstance(found.credential, RecoveryCodes):
            return None
        left = found.credential.burned(code_digest, attempt)
        if left is None:
            return None
        self._rows[authenticator_id] = msgspec.structs.replace(found, credential=left)
        return len(left.digests)

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
    async def seals(
        self, *, after: AuthenticatorId, count: int
    ) -> Sequence[tuple[AuthenticatorId, int]]:
        return []  # nothing lies sealed in memory

    @override
    async def seal_again(self, authenticator_ids: Sequence[AuthenticatorId]) -> int:
        return 0

    @override
    async def record_uses(self, uses: Sequence[AuthenticatorUsed]) -> None:
        for used in sorted(uses, key=lambda used: used.at):
            found = self._rows.get(used.authenticator_id)
            if found is not None:
                self._rows[found.id] = _after_use(found, used)


def _after_use(found: Authenticator, used: AuthenticatorUsed) -> Authenticator:
    credential = found.credential
    last_used_at = found.last_used_at or used.at
    if isinstance(credential, WebAuthnCredential):
        is_newest = last_used_at <= used.at and used.backed_up is not None
        credential = msgspec.structs.replace(
            credential,
            sign_count=max(credential.sign_count, used.sign_count or 0),
            backed_up=used.backed_up if is_newest else credential.backed_up,
        )
    steps = [step for step in (found.last_step, used.step) if step is not None]
    return msgspec.structs.replace(
        found,
        credential=credential,
        last_used_at=max(last_used_at, used.at),
        last_step=max(steps, default=None),
    )


def _credential_id(credential: Credential) -> bytes | None:
    return credential.credential_id if isinstance(credential, WebAuthnCredential) else None


class MemoryKeyStore(KeyStore):
    """Keys in a dictionary."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    @override
    async def now(self) -> datetime:
        return self._clock.now()

    @override
    async def all(self) -> Sequence[SealedKey]:
        return [k for k in self._sorted() if k.state is not KeyState.GONE]

    @override
    async def gone(self) -> Sequence[SealedKey]:
        return [k for k in self._sorted() if k.state is KeyState.GONE]

    @override
    async def add(self, key: SealedKey) -> bool:
        # One key of a ring is active: of two instances that start at once the first one wins.
        rival = any(
            key.id == k.id or (key.ring == k.ring and key.state is k.state is KeyState.ACTIVE)
            for k in self._tables.keys.values()
        )
        if rival:
            return False
        self._tables.keys[key.id] = key
        self._tables.changes.append(None)
        return True

    @override
    async def replace(self, key: SealedKey, *, expected: SealedKey) -> bool:
        if self._tables.keys.get(expected.id) != expected:
            return False
        self._tables.keys[key.id] = key
        self._tables.changes.append(None)
        return True

    def _sorted(self) -> list[SealedKey]:
        return sorted(self._tables.keys.values(), key=lambda key: (key.created_at, key.id))


class MemoryAuditStore(AuditStore):
    """Records by the entry they came from; the chain is the real one."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.audit

    @override
    async def append(self, entry_id: str, event: AuditEvent) -> None:
        await self.append_all([(entry_id, event)])

    @override
    async def append_all(self, entries: Sequence[tuple[str, AuditEvent]]) -> None:
        for entry_id, event in entries:
            if entry_id not in self._rows:
                [link] = audit_chain.links(CHAIN_KEY, await self._head(), [(entry_id, event)])
                record = record_of(len(self._rows) + 1, entry_id, event)
                self._rows[entry_id] = msgspec.structs.replace(record, link=link)

    @override
    async def adopt(self, count: int) -> int:
        found = await self.unchained(count)
        entries = [(record.entry_id, record) for record in found]
        links = audit_chain.links(CHAIN_KEY, await self._head(), entries)
        for record, link in zip(found, links, strict=True):
            self._rows[record.entry_id] = msgspec.structs.replace(record, link=link)
        return len(found)

    @override
    async def chained(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        linked = [(r.link.position, r) for r in self._rows.values() if r.link is not None]
        return [r for at, r in sorted(linked, key=lambda pair: pair[0]) if at > after][:count]

    @override
    async def last_chained(self) -> AuditRecord | None:
        linked = await self.chained(after=0, count=len(self._rows))
        return linked[-1] if linked else None

    @override
    async def written(self, *, after: int, count: int) -> Sequence[AuditRecord]:
        return [r for r in self._in_order() if r.seq > after][:count]

    @override
    async def unchained(self, count: int) -> Sequence[AuditRecord]:
        return [r for r in self._in_order() if r.link is None][:count]

    @override
    async def count_unchained(self) -> int:
        return len(await self.unchained(len(self._rows)))

    async def _head(self) -> ChainHead:
        last = await self.last_chained()
        if last is None or last.link is None:
            return START
        return ChainHead(last.link.position, last.link.hash)

    def _in_order(self) -> list[AuditRecord]:
        return sorted(self._rows.values(), key=lambda record: record.seq)


class MemoryRevocationStore(RevocationStore):
    """Revocations in the order of writing; when a row was written is its place in it."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.revocations

    @override
    async def add(self, revocations: Sequence[Revocation]) -> None:
        for revocation in revocations:
            held = next((r for r in self._rows if _same_thing(r, revocation)), None)
            if held is None:
                self._rows.append(revocation)
            elif (raised := held.raised_by(revocation)) != held:
                self._rows.remove(held)
                self._rows.append(raised)

    @override
    async def live(
        self, now: datetime, *, since: datetime | None = None
    ) -> Sequence[WrittenRevocation]:
        written = [WrittenRevocation(r, r.at) for r in self._rows if now < r.until]
        return [row for row in written if since is None or since <= row.written_at]

    @override
    async def forget(self, ended_before: datetime) -> None:
        self._rows[:] = [r for r in self._rows if ended_before <= r.until]


def _same_thing(one: Revocation, other: Revocation) -> bool:
    return (one.what, one.value) == (other.what, other.value)


class MemoryLeaseStore(LeaseStore):
    """There is one transaction at a time, so whoever asks gets it."""

    @override
    async def take(self, lease: Lease) -> bool:
        return True


class MemoryLedgerStore(LedgerStore):
    """First rows in a dictionary."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.ledger

    @override
    async def record_all(self, rows: Sequence[LedgerRow]) -> Sequence[LedgerRow]:
        return [self._rows.setdefault(_spent_by(row), row) for row in rows]

    @override
    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        row = self._rows.get((TokenConsumed, token_id))
        return row if isinstance(row, TokenConsumed) else None

    @override
    async def forget(self, before: datetime, count: int) -> int:
        forgotten = 0
        for kind in (CodeRedeemed, RefreshUsed, TokenConsumed):
            old = [key for key, row in self._rows.items() if key[0] is kind and row.at < before]
            for key in old[:count]:
                del self._rows[key]
                forgotten += 1
        return forgotten


class MemoryLedger(Ledger):
    """Each row in a transaction of its own; `away` is for tests to set."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.away = False

    @override
    async def record(self, row: LedgerRow) -> LedgerRow:
        async with self._reached() as stores:
            [standing] = await stores.ledger.record_all([row])
        return standing

    @override
    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        async with self._reached() as stores:
            return await stores.ledger.find_consumption(token_id)

    def _reached(self) -> AbstractAsyncContextManager[Stores]:
        if self.away:
            raise DependencyUnavailableError
        return self._database.transaction()


def _spent_by(row: LedgerRow) -> tuple[type[LedgerRow], str]:
    return type(row), row.name


def record_of(seq: int, entry_id: str, event: AuditEvent) -> AuditRecord:
    """Return an entry as it lies in the log, without a link."""
    return AuditRecord(
        seq=seq,
        entry_id=entry_id,
        kind=event.kind,
        at=event.at,
        client_id=event.client_id,
        subject_id=event.subject_id,
        action=event.action,
        challenge_id=event.challenge_id,
        details=dict(event.details),
        link=None,
    )


def event_of(record: AuditRecord) -> AuditEvent:
    """Return the event that an entry tells of."""
    fields_ = {name: getattr(record, name) for name in AuditEvent.__struct_fields__}
    return AuditEvent(**fields_ | {"kind": AuditKind(record.kind)})
