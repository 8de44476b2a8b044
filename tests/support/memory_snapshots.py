"""Copies of what lies in PostgreSQL, in memory."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from typing_extensions import override

from stepup.domain.authenticator import Authenticator
from stepup.domain.ids import Subject
from stepup.ports import (
    Clock,
    Configuration,
    Confirmation,
    CredentialCache,
    FillPlace,
    SnapshotStore,
)
from stepup.ports.snapshots import BEGINNING, ILLEGIBLE

_KEPT = timedelta(hours=24)


class MemorySnapshotStore(SnapshotStore):
    """One configuration in a variable, for a test to look at and to put back."""

    def __init__(self) -> None:
        self.kept: tuple[Configuration, datetime] | None = None

    @override
    async def find(self, issuer: str) -> tuple[Configuration, datetime] | None:
        await asyncio.sleep(0)
        return self.kept if self.kept is not None and self.kept[0].issuer == issuer else None

    @override
    async def confirmation(self, issuer: str) -> Confirmation | None:
        found = await self.find(issuer)
        return None if found is None else Confirmation(issuer, found[0].version, found[1])

    @override
    async def put(
        self, configuration: Configuration, confirmed_at: datetime, *, in_place_of: int = 0
    ) -> bool:
        await asyncio.sleep(0)
        stands = 0 if self.kept is None else self.kept[0].version
        gives_way = {in_place_of}
        if in_place_of == ILLEGIBLE and self.kept and self.kept[0].issuer != configuration.issuer:
            gives_way.add(stands)
        if stands > configuration.version and stands not in gives_way:
            return False
        self.kept = (configuration, confirmed_at)
        return True

    @override
    async def confirm(self, confirmation: Confirmation) -> bool:
        await asyncio.sleep(0)
        if self.kept is None or self.kept[0].version != confirmation.version:
            return False
        self.kept = (self.kept[0], confirmation.at)
        return True


class MemoryCredentialCache(CredentialCache):
    """Lists in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Subject, tuple[Sequence[Authenticator], datetime]] = {}
        self._place = BEGINNING

    @override
    async def find(self, subject: Subject) -> Sequence[Authenticator] | None:
        await asyncio.sleep(0)
        found, read_at = self._kept.get(subject, ((), self._clock.now()))
        return found if found and self._clock.now() - read_at <= _KEPT else None

    @override
    async def put(
        self, subject: Subject, authenticators: Sequence[Authenticator], read_at: datetime
    ) -> None:
        await asyncio.sleep(0)
        self._kept[subject] = (tuple(authenticators), read_at)

    @override
    async def forget(self, subject: Subject) -> None:
        await asyncio.sleep(0)
        self._kept.pop(subject, None)

    @override
    async def place(self) -> FillPlace:
        await asyncio.sleep(0)
        return self._place

    @override
    async def keep_place(self, place: FillPlace) -> None:
        await asyncio.sleep(0)
        self._place = place
