"""Who administers: appointed subjects, and the keys of pipelines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from stepup.domain.administrator import ApiKey, Appointment
from stepup.domain.ids import ApiKeyId, Subject


class AdministratorStore(Protocol):
    """Subjects that administer."""

    async def all(self) -> Sequence[Appointment]:
        """Return every appointment, by issuer and sub."""
        ...

    async def find(self, subject: Subject) -> Appointment | None:
        """Return what a subject may, None when it does not administer."""
        ...

    async def put(self, appointment: Appointment) -> None:
        """Appoint a subject, or replace what it was appointed for."""
        ...

    async def remove(self, subject: Subject) -> bool:
        """Dismiss a subject; of concurrent callers one gets True."""
        ...


class ApiKeyStore(Protocol):
    """Keys of pipelines; a revoked one stays, so that the log can be read."""

    async def all(self) -> Sequence[ApiKey]:
        """Return every key, revoked ones too, oldest first."""
        ...

    async def find(self, key_id: ApiKeyId) -> ApiKey | None:
        """Return a key, also one that was revoked or has expired."""
        ...

    async def add(self, key: ApiKey) -> None:
        """Keep a new key.

        Raises:
            ApiKeyExistsError: If one of this name has not been revoked.
        """
        ...

    async def revoke(self, key_id: ApiKeyId, at: datetime) -> bool:
        """Revoke a key for good; of concurrent callers one gets True."""
        ...

    async def note_use(self, key_id: ApiKeyId, at: datetime) -> None:
        """Move the last use forward, never back."""
        ...
