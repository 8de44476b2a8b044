"""What the use cases need from the world: each promise is written once, here.

A port exists only for what does I/O or cannot be repeated. `Ports` is everything a use case is
given; `State` is what is spent (Redis), `Stores` is what must never be lost (PostgreSQL, inside
one transaction).

Every method that talks to a store may raise `DependencyUnavailableError`, which grants nothing;
every method that spends may raise `OutcomeUnknownError`, after which the same attempt may be
repeated. Neither is repeated in the docstrings below.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple, Protocol

import msgspec

from stepup.domain.account import (
    AccountSession,
    BaseIdentity,
    PendingElevation,
    PendingEnrollment,
    PendingLogin,
)
from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.audit import AuditEvent, AuditRecord
from stepup.domain.authenticator import Authenticator, Credential
from stepup.domain.challenge import Challenge
from stepup.domain.client import Client
from stepup.domain.ids import (
    AttemptId,
    AuthenticatorId,
    CeremonyId,
    ChallengeId,
    ClientId,
    Subject,
    SubjectId,
    TokenId,
)
from stepup.domain.keyring import Keyring, SealedKey
from stepup.domain.policy import Policy
from stepup.domain.site import Site


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...


class Entropy(Protocol):
    """Chance."""

    def bytes(self, count: int) -> bytes:
        """Return that many unpredictable bytes."""
        ...

    def token(self, count: int = 32) -> str:
        """Return that many unpredictable bytes as base64url text without padding."""
        ...


# --- state: what is spent -------------------------------------------------------------------


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to compare one answer with the secret; the try is already counted.

    `webauthn_challenge` is what the authenticator had to sign, when a ceremony was spent with it.
    """

    challenge: Challenge
    method: Method
    attempt: AttemptId
    webauthn_challenge: bytes | None = None


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A code's one redemption. `repeated` when the same attempt asked again."""

    challenge: Challenge
    redeemed_at: datetime
    repeated: bool = False


class PresentedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code as a client brought it; all of it must fit what the code was issued for.

    `code_challenge` was computed from the verifier that came with the request (RFC 7636).
    """

    challenge_id: ChallengeId
    digest: bytes
    client_id: ClientId
    redirect_uri: str | None
    code_challenge: str | None


class CodeTakenError(Exception):
    """Another attempt has redeemed this code: what it gave must be revoked (RFC 6749 4.1.2)."""

    def __init__(self, challenge_id: ChallengeId) -> None:
        super().__init__(challenge_id)
        self.challenge_id = challenge_id


class ChallengeStore(Protocol):
    """Pending challenges and their codes; each answer is counted, each challenge is spent once.

    Secrets in a challenge lie sealed. Everything here expires by itself, ten minutes after it
    ended, so that a late replay is told from an unknown challenge.
    """

    async def open(self, challenge: Challenge, request_uri_digest: bytes | None) -> None:
        """Keep a new challenge, acknowledged by a replica where there is one.

        Raises:
            ChallengeNotPendingError: If the identifier is taken.
        """
        ...

    async def find(self, challenge_id: ChallengeId) -> Challenge | None:
        """Return the challenge as it stands, None when there is none."""
        ...

    async def claim(
        self, challenge_id: ChallengeId, request_uri_digest: bytes, browser_digest: bytes
    ) -> Challenge:
        """Tie the challenge to the first browser that brings its `request_uri`.

        The same browser may come again; the `request_uri` is used up by the answer, not by
        looking at the page (FAPI 2.0 section 5.3.2.2, note 3).

        Raises:
            ChallengeNotFoundError: If there is no such challenge, or the digest is another.
            WrongBrowserError: If another browser has it.
        """
        ...

    async def begin_ceremony(
        self, challenge_id: ChallengeId, ceremony_id: CeremonyId, webauthn_challenge: bytes
    ) -> tuple[CeremonyId, bytes]:
        """Keep the random bytes that an authenticator will sign.

        Up to three are outstanding; past that the newest outstanding one is returned, so a
        reload never makes another tab's ceremony void.

        Raises:
            ChallengeNotPendingError: If the challenge is not pending any more.
        """
        ...

    async def begin_answer(
        self,
        challenge_id: ChallengeId,
        method: Method,
        attempt: AttemptId,
        now: datetime,
        ceremony_id: CeremonyId | None = None,
    ) -> Permit:
        """Count one try, before anything is compared, and hand out what is needed to compare.

        A ceremony is spent in the same step: of concurrent answers to one WebAuthn challenge one
        gets it. The same attempt gets the same permit and is not counted again.

        Raises:
            ChallengeNotFoundError: If there is no such challenge, or it has expired.
            ChallengeNotPendingError: If it was answered, cancelled or denied.
            VerificationFailedError: If this method has no tries left (`tries_left` is 0).
            CeremonyExpiredError: If the ceremony was spent or is unknown.
        """
        ...

    async def finish_answer(
        self, permit: Permit, facts: CeremonyFacts, *, verified: bool, now: datetime
    ) -> Challenge:
        """Record a passed ceremony; with `verified` the challenge is answered.

        Of any number of concurrent attempts exactly one gets it, also across a failover; the same
        attempt repeated gets the same answer. It may come again with `verified` when its facts are
        enough together with those that others recorded meanwhile.

        Raises:
            ChallengeNotPendingError: If another attempt was first.
        """
        ...

    async def cancel(self, challenge_id: ChallengeId) -> Challenge:
        """End a pending challenge without an answer; cancelling twice is harmless.

        Raises:
            ChallengeNotFoundError: If there is no such challenge.
            ChallengeNotPendingError: If it was answered.
        """
        ...

    async def issue_code(
        self, challenge_id: ChallengeId, code_digest: bytes, now: datetime
    ) -> None:
        """Keep the one code of a verified challenge; again is harmless and extends nothing.

        Raises:
            ChallengeNotPendingError: If the challenge is not verified, or its code was redeemed.
        """
        ...

    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime
    ) -> Redemption:
        """Spend a code; of all attempts one gets it, and the same attempt gets it again.

        When the requirement says once, the record that `TokenStore.consume` spends is made in the
        same step.

        Raises:
            CodeTakenError: If another attempt has redeemed it.
            InvalidGrantError: If it is unknown, expired, or anything it is bound to differs; a
                code that was not redeemed stays as it was.
        """
        ...


class StepStore(Protocol):
    """The last accepted time step or signature count of each authenticator: only ever larger."""

    async def accept(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        step: int,
        attempt: AttemptId | None = None,
    ) -> bool:
        """Accept a step that is larger than every one before it.

        Of concurrent callers with one step one gets True (RFC 6238 section 5.2: a code is
        accepted once). An attempt that repeats its own step gets True again.
        """
        ...

    async def retire(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> None:
        """Accept nothing of an authenticator any more; again is harmless.

        Remembered for longer than any challenge lives that was opened while it was enrolled.
        """
        ...

    async def is_retired(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> bool:
        """Say whether the authenticator was retired."""
        ...


class AttemptStore(Protocol):
    """How often a subject may try a method, over all challenges."""

    async def spend(self, subject_id: SubjectId, method: Method, now: datetime) -> None:
        """Spend one attempt.

        Raises:
            TooManyAttemptsError: If there is none left; `retry_after` says when there will be.
        """
        ...

    async def forgive(self, subject_id: SubjectId, method: Method) -> None:
        """Give all attempts back, after a success only."""
        ...


class TokenStore(Protocol):
    """What ends an elevated token before its time: consumption and revocation."""

    async def consume(
        self, challenge_id: ChallengeId, token_id: TokenId, attempt: AttemptId, now: datetime
    ) -> datetime:
        """Use up a once-only token; of all callers one gets it, the same attempt gets it again.

        Returns when it was consumed.

        Raises:
            TokenAlreadyConsumedError: If another attempt has it.
            TokenNotConsumableError: If no once-only token was issued for this challenge.
        """
        ...

    async def is_revoked(self, token_id: TokenId) -> bool:
        """Say whether the token was revoked."""
        ...

    async def is_spent(self, challenge_id: ChallengeId, token_id: TokenId) -> bool:
        """Say whether the token was revoked, or used up if it is once-only."""
        ...

    async def revoke(self, token_id: TokenId, until: datetime) -> None:
        """Revoke a token; the mark is kept until the token has expired anyway."""
        ...


class ReplayStore(Protocol):
    """Identifiers that may be seen once."""

    async def remember(
        self, scope: str, identifier: str, attempt: AttemptId, until: datetime
    ) -> bool:
        """Remember an identifier.

        True for the first attempt that brings it, and for that attempt again.
        """
        ...


class AccountStore(Protocol):
    """What the account pages keep: sessions, logins, enrollments; sealed, by digest of a secret."""

    async def put_session(self, digest: str, session: AccountSession) -> None:
        """Keep a session until it expires."""
        ...

    async def find_session(self, digest: str) -> AccountSession | None:
        """Return a session."""
        ...

    async def replace_session(self, digest: str, session: AccountSession) -> bool:
        """Swap a session that is still there; False when it has ended, and stays so."""
        ...

    async def remove_session(self, digest: str) -> None:
        """Sign out; again is harmless."""
        ...

    async def add_login(self, digest: str, login: PendingLogin) -> None:
        """Keep a login that was sent to the upstream."""
        ...

    async def consume_login(self, digest: str) -> PendingLogin | None:
        """Take the login, once."""
        ...

    async def add_elevation(self, digest: str, elevation: PendingElevation) -> None:
        """Keep a step-up that the pages started for themselves."""
        ...

    async def consume_elevation(self, digest: str) -> PendingElevation | None:
        """Take the step-up, once."""
        ...

    async def add_enrollment(self, enrollment_id: str, enrollment: PendingEnrollment) -> None:
        """Keep an authenticator that is not confirmed yet."""
        ...

    async def find_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        """Return the enrollment, as often as the subject mistypes."""
        ...

    async def consume_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        """Take the enrollment, once."""
        ...


class AuthenticatorUsed(msgspec.Struct, frozen=True, kw_only=True, tag="authenticator_used"):
    """An authenticator answered; what PostgreSQL should know about it afterwards."""

    authenticator_id: AuthenticatorId
    at: datetime
    sign_count: int | None = None
    backed_up: bool | None = None


class AuditRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="audit"):
    """An audit event on its way to PostgreSQL."""

    event: AuditEvent


OutboxEntry = AuditRecorded | AuthenticatorUsed


class Backlog(NamedTuple):
    """What waits in the outbox: how much, and since when."""

    entries: int
    oldest_at: datetime | None


class Outbox(Protocol):
    """Rows on their way to PostgreSQL; nobody waits for them, none is lost or written twice."""

    async def append(self, *entries: OutboxEntry) -> None:
        """Add entries in order."""
        ...

    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        """Return the oldest readable entries with the identifiers under which they were added.

        What a newer release wrote is passed over: it stays and waits for one that can read it.
        """
        ...

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Forget entries after they were written."""
        ...

    async def backlog(self) -> Backlog:
        """Say how many entries wait, the unreadable ones too, and since when the oldest does."""
        ...


class Changes(Protocol):
    """The quick way to tell every instance that policies, clients or keys changed.

    A lost announcement costs a second: instances also poll (RELIABILITY section 8).
    """

    async def announce(self) -> None:
        """Tell everybody; failing to is not an error."""
        ...

    def listen(self) -> AsyncIterator[None]:
        """Yield once per announcement, for ever; reconnects by itself."""
        ...


class State(NamedTuple):
    """All that is spent or forgotten by itself."""

    challenges: ChallengeStore
    steps: StepStore
    attempts: AttemptStore
    tokens: TokenStore
    replays: ReplayStore
    accounts: AccountStore
    outbox: Outbox
    changes: Changes


# --- database: what must never be lost ------------------------------------------------------


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable version of the policy document, as text."""

    version: int
    document: str
    author: str
    activated_at: datetime


class PolicyStore(Protocol):
    """All versions; the one with the largest number is active."""

    async def activate(self, document: str, author: str, now: datetime) -> PolicyVersion:
        """Keep a document as the next version; two at once get two numbers."""
        ...

    async def find_active(self) -> PolicyVersion | None:
        """Return the active version, None before the first."""
        ...


class ClientStore(Protocol):
    """Registered clients."""

    async def all(self) -> Sequence[Client]:
        """Return every client."""
        ...

    async def put(self, client: Client) -> None:
        """Add or replace a client."""
        ...


class AuthenticatorStore(Protocol):
    """Enrolled authenticators, their secrets sealed."""

    async def of_subject(self, subject: Subject) -> Sequence[Authenticator]:
        """Return a subject's authenticators, oldest first."""
        ...

    async def find(
        self, subject: Subject, authenticator_id: AuthenticatorId
    ) -> Authenticator | None:
        """Return one authenticator, if it is this subject's."""
        ...

    async def add(self, authenticator: Authenticator) -> None:
        """Keep a new authenticator.

        Raises:
            AuthenticatorExistsError: If its credential is enrolled already, by anybody.
        """
        ...

    async def replace_credential(
        self,
        authenticator_id: AuthenticatorId,
        *,
        expected: Credential,
        credential: Credential,
    ) -> bool:
        """Swap the credential if it still is the expected one; of concurrent callers one gets True.

        This is how one recovery code is burned.
        """
        ...

    async def rename(self, subject: Subject, authenticator_id: AuthenticatorId, name: str) -> bool:
        """Give it a new name; False when it is not this subject's."""
        ...

    async def remove(self, subject: Subject, authenticator_id: AuthenticatorId) -> bool:
        """Remove it; of concurrent callers one gets True."""
        ...

    async def record_uses(self, uses: Sequence[AuthenticatorUsed]) -> None:
        """Move last uses and signature counts forward, never back, all in one step.

        Uses of one authenticator may come in any order; of an unknown one they are passed over.
        """
        ...


class KeyStore(Protocol):
    """Sealed keys."""

    async def all(self) -> Sequence[SealedKey]:
        """Return every key that is not gone."""
        ...

    async def add(self, key: SealedKey) -> bool:
        """Keep a key; False when one of the same use exists and the first one must win."""
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
    clients: ClientStore
    authenticators: AuthenticatorStore
    keys: KeyStore
    audit: AuditStore
    leases: LeaseStore


class Database(Protocol):
    """PostgreSQL."""

    def transaction(self) -> AbstractAsyncContextManager[Stores]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        The use case opens it and nobody else commits; a refusal that must be recorded is raised
        after the block.
        """
        ...

    async def configuration_version(self) -> str:
        """Return a text that changes whenever a policy, a client or a key changes."""
        ...

    async def check(self) -> None:
        """Return when the database answers."""
        ...


# --- the rest -------------------------------------------------------------------------------


class Snapshot(Protocol):
    """Policy, clients and keys in memory: what runs in every step-up reads them here.

    A change swaps a reference, so one request never sees half of it when it asks once.
    """

    @property
    def policy(self) -> Policy:
        """The active policy.

        Raises:
            DependencyUnavailableError: If none was ever loaded.
        """
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys.

        Raises:
            DependencyUnavailableError: If none were ever loaded.
        """
        ...

    def client(self, client_id: ClientId) -> Client | None:
        """Find a client by its identifier."""
        ...


class Upstreams(Protocol):
    """The identity providers beside which we stand."""

    async def verify(self, token: str, now: datetime) -> BaseIdentity:
        """Verify a subject token: signature, issuer, audience, algorithm, expiry.

        Raises:
            InvalidSubjectTokenError: If any of it does not hold.
        """
        ...

    async def login_url(
        self, login: PendingLogin, *, state: str, redirect_uri: str, code_challenge: str
    ) -> str:
        """Return where a browser begins a base login."""
        ...

    async def finish_login(
        self, login: PendingLogin, *, code: str, redirect_uri: str, now: datetime
    ) -> BaseIdentity:
        """Redeem the upstream's code and verify its ID token, nonce included.

        Raises:
            InvalidSubjectTokenError: If the upstream refuses the code or the token does not hold.
        """
        ...


class Ports(NamedTuple):
    """Everything a use case may touch."""

    clock: Clock
    entropy: Entropy
    site: Site
    snapshot: Snapshot
    state: State
    database: Database
    upstreams: Upstreams
