"""The ledger: which attempt each code, refresh token and once-only token went to, for good.

Redis decides who gets what is spent. The ledger is the second home of that decision: when Redis
has lost one and grants again, the row that is there already says no.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.ids import AttemptId, ChallengeId, ClientId, SubjectId, TokenId


class CodeRedeemed(msgspec.Struct, frozen=True, kw_only=True, tag="code_redeemed"):
    """The one redemption of a challenge's code."""

    challenge_id: ChallengeId
    attempt: AttemptId
    token_id: TokenId
    client_id: ClientId
    subject_id: SubjectId
    redeemed_at: datetime

    @property
    def name(self) -> str:
        """What was spent."""
        return self.challenge_id

    @property
    def at(self) -> datetime:
        """When it was spent."""
        return self.redeemed_at


class TokenConsumed(msgspec.Struct, frozen=True, kw_only=True, tag="token_consumed"):
    """The one use of a once-only token."""

    token_id: TokenId
    challenge_id: ChallengeId
    attempt: AttemptId
    client_id: ClientId
    consumed_at: datetime

    @property
    def name(self) -> str:
        """What was spent."""
        return self.token_id

    @property
    def at(self) -> datetime:
        """When it was spent."""
        return self.consumed_at


class RefreshUsed(msgspec.Struct, frozen=True, kw_only=True, tag="refresh_used"):
    """The one use of a ceremony's refresh token of a count; `token_id` is what it gave."""

    challenge_id: ChallengeId
    count: int
    attempt: AttemptId
    token_id: TokenId
    client_id: ClientId
    subject_id: SubjectId
    used_at: datetime

    @property
    def name(self) -> str:
        """What was spent."""
        return f"{self.challenge_id} {self.count}"

    @property
    def at(self) -> datetime:
        """When it was spent."""
        return self.used_at


LedgerRow = CodeRedeemed | RefreshUsed | TokenConsumed


class LedgerStore(Protocol):
    """The ledger inside a transaction: of everything that is spent the first row stays."""

    async def record_all(self, rows: Sequence[LedgerRow]) -> Sequence[LedgerRow]:
        """Write the rows that are the first of their kind; return for each the one that stands.

        Of concurrent writers of one code or token all get the same row back.
        """
        ...

    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        """Return the use of a token."""
        ...

    async def forget(self, before: datetime, count: int) -> int:
        """Remove at most `count` rows of each kind older than that; returns how many."""
        ...


class Ledger(Protocol):
    """The ledger as a request reaches it: within 150 ms or not at all.

    While it is known to be away nobody waits for it.
    """

    async def record(self, row: LedgerRow) -> LedgerRow:
        """Write a row unless there is one for this code or token; return the one that stands.

        Raises:
            DependencyUnavailableError: If there was no answer in time. The row may have been
                written nevertheless, or be written later.
        """
        ...

    async def find_consumption(self, token_id: TokenId) -> TokenConsumed | None:
        """Return the use of a token."""
        ...
