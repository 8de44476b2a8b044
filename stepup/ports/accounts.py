"""What the account pages keep for a while."""

from typing import Protocol

from stepup.domain.account import (
    AccountSession,
    PendingElevation,
    PendingEnrollment,
    PendingLogin,
)


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
