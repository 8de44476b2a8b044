"""What is counted, accepted or used up once, apart from challenges."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from stepup.domain.assurance import Method
from stepup.domain.ids import (
    AttemptId,
    AuthenticatorId,
    ChallengeId,
    SubjectId,
    TokenId,
)


class StepStore(Protocol):
    """The last accepted time step or signature count of each authenticator: only ever larger."""

    async def accept(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        step: int,
        attempt: AttemptId | None = None,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        """Accept a step that is larger than every one before it.

        Of concurrent callers with one step one gets True (RFC 6238 section 5.2: a code is
        accepted once). An attempt that repeats its own step gets True again. A step that was
        possible at the floor of the generation or before is not accepted: it may have been.
        """
        ...

    async def retire(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> None:
        """Accept nothing of an authenticator any more; again is harmless.

        Remembered for longer than any copy of it is kept, and any challenge lives that was opened
        with one.
        """
        ...

    async def is_retired(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> bool:
        """Say whether the authenticator was retired."""
        ...


class RecoveryCodeStore(Protocol):
    """Which recovery codes were used, by their digests.

    Remembered for longer than any copy of their list can live: a challenge carries one, and it may
    be older than the last use.
    """

    async def spend(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digest: bytes,
        attempt: AttemptId,
    ) -> bool:
        """Use up a code; of all attempts one gets True, and the same attempt gets it again."""
        ...

    async def void(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digests: Iterable[bytes],
    ) -> None:
        """Let nobody use these codes any more; who used one before may still come again."""
        ...


class AttemptStore(Protocol):
    """How often a subject may try a method, over all challenges.

    After a change of generation one attempt is left to whom an instance remembers as failing.
    """

    async def spend(self, subject_id: SubjectId, method: Method, now: datetime) -> None:
        """Spend one attempt.

        Raises:
            TooManyAttemptsError: If there is none left; `retry_after` says when there will be.
        """
        ...

    async def forgive(self, subject_id: SubjectId, method: Method) -> None:
        """Give all attempts back, after a success only."""
        ...


class UnknownTokenError(Exception):
    """No record says that the token may be used: it was lost, or there never was one."""


class TokenStore(Protocol):
    """What becomes of an elevated token: used up, or revoked (`RevocationFeed` marks it)."""

    async def consume(
        self,
        challenge_id: ChallengeId,
        token_id: TokenId,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> datetime:
        """Use up a once-only token; of all callers one gets it, the same attempt gets it again.

        Returns when it was consumed. With `everywhere` every replica that there should be holds
        it, of which there must be one.

        Raises:
            TokenAlreadyConsumedError: If another attempt has it.
            UnknownTokenError: If no record says that a once-only token was issued for this
                challenge: there never was one, or it was lost.
            TokenNotConsumableError: If it was revoked.
        """
        ...

    async def is_revoked(self, token_id: TokenId) -> bool:
        """Say whether the token was revoked."""
        ...

    async def is_usable(self, challenge_id: ChallengeId) -> bool:
        """Say whether the once-only token of this challenge could be consumed.

        Without a record it cannot: it may have been used before the record was lost.
        """
        ...


class ReplayStore(Protocol):
    """Identifiers that may be seen once."""

    async def remember(
        self,
        scope: str,
        identifier: str,
        attempt: AttemptId,
        until: datetime,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        """Remember an identifier.

        True for the first attempt that brings it, and for that attempt again. One that was made
        at the floor of the generation or before is not new: it may have been seen.
        """
        ...
