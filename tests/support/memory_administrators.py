"""Who administers, in dictionaries."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.domain.admin_errors import ApiKeyExistsError
from stepup.domain.administrator import ApiKey, Appointment
from stepup.domain.ids import ApiKeyId, Subject
from stepup.ports import AdministratorStore, ApiKeyStore


class MemoryAdministratorStore(AdministratorStore):
    """Appointments by their subject."""

    def __init__(self, rows: dict[Subject, Appointment]) -> None:
        self._rows = rows

    @override
    async def all(self) -> Sequence[Appointment]:
        return sorted(self._rows.values(), key=lambda a: (a.subject.issuer, a.subject.sub))

    @override
    async def find(self, subject: Subject) -> Appointment | None:
        return self._rows.get(subject)

    @override
    async def put(self, appointment: Appointment) -> None:
        self._rows[appointment.subject] = appointment

    @override
    async def remove(self, subject: Subject) -> bool:
        return self._rows.pop(subject, None) is not None


class MemoryApiKeyStore(ApiKeyStore):
    """Keys by their identifier."""

    def __init__(self, rows: dict[ApiKeyId, ApiKey]) -> None:
        self._rows = rows

    @override
    async def all(self) -> Sequence[ApiKey]:
        return sorted(self._rows.values(), key=lambda key: (key.created_at, key.id))

    @override
    async def find(self, key_id: ApiKeyId) -> ApiKey | None:
        return self._rows.get(key_id)

    @override
    async def add(self, key: ApiKey) -> None:
        live = [k.name for k in self._rows.values() if k.revoked_at is None]
        if key.id in self._rows or key.name in live:
            raise ApiKeyExistsError
        self._rows[key.id] = key

    @override
    async def revoke(self, key_id: ApiKeyId, at: datetime) -> bool:
        found = self._rows.get(key_id)
        if found is None or found.revoked_at is not None:
            return False
        self._rows[key_id] = msgspec.structs.replace(found, revoked_at=at)
        return True

    @override
    async def note_use(self, key_id: ApiKeyId, at: datetime) -> None:
        found = self._rows.get(key_id)
        if found is not None:
            last = max(found.last_used_at or at, at)
            self._rows[key_id] = msgspec.structs.replace(found, last_used_at=last)
