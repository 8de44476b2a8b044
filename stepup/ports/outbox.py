"""What waits for PostgreSQL, and what tells instances of a change."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from stepup.domain.audit import AuditEvent
from stepup.domain.ids import AttemptId, AuthenticatorId
from stepup.domain.revocation import Revocation
from stepup.ports.ledger import CodeRedeemed, RefreshUsed, TokenConsumed


class AuthenticatorUsed(msgspec.Struct, frozen=True, kw_only=True, tag="authenticator_used"):
    """An authenticator answered; what PostgreSQL should know about it afterwards."""

    authenticator_id: AuthenticatorId
    at: datetime
    sign_count: int | None = None
    backed_up: bool | None = None
    step: int | None = None


class AuditRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="audit"):
    """An audit event on its way to PostgreSQL."""

    event: AuditEvent


class RecoveryCodeBurned(msgspec.Struct, frozen=True, kw_only=True, tag="recovery_code_burned"):
    """A recovery code that was used while PostgreSQL was away, and what the audit log is to say."""

    authenticator_id: AuthenticatorId
    code_digest: bytes
    attempt: AttemptId
    event: AuditEvent


class RevocationRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="revocation"):
    """A revocation on its way to PostgreSQL, which was away when it was made."""

    revocation: Revocation


OutboxEntry = (
    AuditRecorded
    | AuthenticatorUsed
    | CodeRedeemed
    | RecoveryCodeBurned
    | RefreshUsed
    | RevocationRecorded
    | TokenConsumed
)


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
