"""The refresh store in memory; every method is one step, because nothing in it awaits."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from stepup.domain.errors import (
    DependencyUnavailableError,
    InvalidGrantError,
    OutcomeUnknownError,
)
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.domain.refresh import RefreshGrant
from stepup.ports import Clock, CurrentRefresh, RefreshReusedError, RefreshStore, Rotation


@dataclass
class _Record:
    grant: RefreshGrant
    count: int = 0
    by: AttemptId | None = None
    used_at: datetime | None = None
    ended: bool = False


class MemoryRefreshStore(RefreshStore):
    """Grants in a dictionary; `replicated` when there are replicas that hold everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[ChallengeId, _Record] = {}
        self.replicated = False

    def forget_uses(self, challenge_id: ChallengeId, count: int) -> None:
        """Lose what was used since, as a failover can."""
        record = self._records[challenge_id]
        record.count, record.by, record.used_at = count, None, None

    @override
    async def open(self, grant: RefreshGrant) -> None:
        await asyncio.sleep(0)
        held = self._records.get(grant.challenge_id)
        if held is None or (held.count == 0 and not held.ended):
            self._records[grant.challenge_id] = _Record(grant)

    @override
    async def find(self, challenge_id: ChallengeId) -> RefreshGrant | None:
        await asyncio.sleep(0)
        record = self._records.get(challenge_id)
        return None if record is None else record.grant

    @override
    async def current(self, challenge_id: ChallengeId) -> CurrentRefresh | None:
        await asyncio.sleep(0)
        record = self._records.get(challenge_id)
        if record is None or record.ended:
            return None
        return CurrentRefresh(record.grant, record.count)

    @override
    async def rotate(
        self,
        challenge_id: ChallengeId,
        count: int,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> Rotation:
        await asyncio.sleep(0)
        if everywhere and not self.replicated:
            raise DependencyUnavailableError
        record = self._records.get(challenge_id)
        if record is None:
            raise InvalidGrantError
        if record.ended:
            raise RefreshReusedError
        if count + 1 == record.count and record.by == attempt and record.used_at is not None:
            return Rotation(used_at=record.used_at, repeated=True)
        if count < record.count:
            record.ended = True
            raise RefreshReusedError
        if record.grant.expires_at <= now:
            raise InvalidGrantError
        record.count, record.by, record.used_at = count + 1, attempt, now
        return Rotation(used_at=now)

    @override
    async def release(
        self, challenge_id: ChallengeId, count: int, attempt: AttemptId, until: datetime
    ) -> None:
        await asyncio.sleep(0)
        record = self._records.get(challenge_id)
        if record and not record.ended and (record.count, record.by) == (count + 1, attempt):
            record.count, record.by, record.used_at = count, None, None


class UnheardRefreshes(MemoryRefreshStore):
    """A store that rotates, once, and cannot say so."""

    unheard = True

    @override
    async def rotate(
        self,
        challenge_id: ChallengeId,
        count: int,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> Rotation:
        rotation = await super().rotate(challenge_id, count, attempt, now, everywhere=everywhere)
        if self.unheard:
            self.unheard = False
            raise OutcomeUnknownError
        return rotation
