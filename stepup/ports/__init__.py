"""What the use cases need from the world: each promise is written once, here.

A port exists only for what does I/O or cannot be repeated. `Ports` is everything a use case is
given; `State` is what is spent (Redis), `Stores` is what must never be lost (PostgreSQL, inside
one transaction).

Every method that talks to a store may raise `DependencyUnavailableError`, which grants nothing;
every method that spends may raise `OutcomeUnknownError`, after which the same attempt may be
repeated. Neither is repeated in the docstrings below.
"""

from typing import NamedTuple

from stepup.domain.site import Site
from stepup.ports.accounts import AccountStore
from stepup.ports.administrators import AdministratorStore, ApiKeyStore
from stepup.ports.challenges import (
    ChallengeStore,
    CodeTakenError,
    Permit,
    PresentedCode,
    Redemption,
)
from stepup.ports.database import (
    AuditStore,
    AuthenticatorStore,
    ClientStore,
    Database,
    KeyStore,
    Lease,
    LeaseStore,
    Stores,
)
from stepup.ports.decisions import DecisionLog, DecisionPlace, DecisionQuery, DecisionStore
from stepup.ports.generations import GenerationRecord, Generations, NoRecord
from stepup.ports.ledger import (
    CodeRedeemed,
    Ledger,
    LedgerRow,
    LedgerStore,
    RefreshUsed,
    TokenConsumed,
)
from stepup.ports.outbox import (
    AuditRecorded,
    AuthenticatorUsed,
    Backlog,
    Changes,
    Outbox,
    OutboxEntry,
    RecoveryCodeBurned,
    RevocationRecorded,
)
from stepup.ports.policies import (
    DraftStore,
    Origin,
    PolicyStore,
    PolicyVersion,
    ShadowPolicy,
    VersionHeader,
)
from stepup.ports.refreshes import CurrentRefresh, RefreshReusedError, RefreshStore, Rotation
from stepup.ports.revocation import (
    FeedPage,
    FeedPlace,
    KnownRevocations,
    RevocationFeed,
    RevocationStore,
    WrittenRevocation,
)
from stepup.ports.sessions import SessionStore
from stepup.ports.shadow import ShadowFindings, ShadowLog
from stepup.ports.signals import (
    Pusher,
    PushHealth,
    PushTurn,
    SignalBacklog,
    SignalQueue,
    SignalSource,
    StreamStore,
)
from stepup.ports.snapshots import (
    Configuration,
    Confirmation,
    CredentialCache,
    FillPlace,
    SnapshotStore,
)
from stepup.ports.spent import (
    AttemptStore,
    RecoveryCodeStore,
    ReplayStore,
    StepStore,
    TokenStore,
    UnknownTokenError,
)
from stepup.ports.statuses import PlaceWanted, StatusStore
from stepup.ports.surroundings import Shadow, Snapshot, Upstreams
from stepup.ports.system import Clock, Entropy

__all__ = [
    "AccountStore",
    "AdministratorStore",
    "ApiKeyStore",
    "AttemptStore",
    "AuditRecorded",
    "AuditStore",
    "AuthenticatorStore",
    "AuthenticatorUsed",
    "Backlog",
    "ChallengeStore",
    "Changes",
    "ClientStore",
    "Clock",
    "CodeRedeemed",
    "CodeTakenError",
    "Configuration",
    "Confirmation",
    "CredentialCache",
    "CurrentRefresh",
    "Database",
    "DecisionLog",
    "DecisionPlace",
    "DecisionQuery",
    "DecisionStore",
    "DraftStore",
    "Entropy",
    "FeedPage",
    "FeedPlace",
    "FillPlace",
    "GenerationRecord",
    "Generations",
    "KeyStore",
    "KnownRevocations",
    "Lease",
    "LeaseStore",
    "Ledger",
    "LedgerRow",
    "LedgerStore",
    "NoRecord",
    "Origin",
    "Outbox",
    "OutboxEntry",
    "Permit",
    "PlaceWanted",
    "PolicyStore",
    "PolicyVersion",
    "Ports",
    "PresentedCode",
    "PushHealth",
    "PushTurn",
    "Pusher",
    "RecoveryCodeBurned",
    "RecoveryCodeStore",
    "Redemption",
    "RefreshReusedError",
    "RefreshStore",
    "RefreshUsed",
    "ReplayStore",
    "RevocationFeed",
    "RevocationRecorded",
    "RevocationStore",
    "Rotation",
    "SessionStore",
    "Shadow",
    "ShadowFindings",
    "ShadowLog",
    "ShadowPolicy",
    "SignalBacklog",
    "SignalQueue",
    "SignalSource",
    "Snapshot",
    "SnapshotStore",
    "State",
    "StatusStore",
    "StepStore",
    "Stores",
    "StreamStore",
    "TokenConsumed",
    "TokenStore",
    "UnknownTokenError",
    "Upstreams",
    "VersionHeader",
    "WrittenRevocation",
]


class State(NamedTuple):
    """All that is spent or forgotten by itself, and copies of what is kept elsewhere."""

    challenges: ChallengeStore
    steps: StepStore
    recovery_codes: RecoveryCodeStore
    attempts: AttemptStore
    tokens: TokenStore
    refreshes: RefreshStore
    replays: ReplayStore
    accounts: AccountStore
    sessions: SessionStore
    outbox: Outbox
    decisions: DecisionLog
    shadow: ShadowLog
    changes: Changes
    revocations: RevocationFeed
    statuses: StatusStore
    snapshots: SnapshotStore
    credentials: CredentialCache
    generations: Generations


class Ports(NamedTuple):
    """Everything a use case may touch."""

    clock: Clock
    entropy: Entropy
    site: Site
    snapshot: Snapshot
    revocations: KnownRevocations
    state: State
    database: Database
    upstreams: Upstreams
