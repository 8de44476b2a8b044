"""The ports in memory, held to the same contracts as the real ones.

Each store method is one step: it gives others a turn first, and then never awaits.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
from typing_extensions import override

from stepup.domain.account import (
    ENROLLMENT_LIFETIME,
    LOGIN_LIFETIME,
    AccountSession,
    PendingElevation,
    PendingEnrollment,
    PendingLogin,
)
from stepup.domain.assurance import Method
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.challenge import CHALLENGE_LIFETIME, METHOD_PAUSE, TRIES_PER_METHOD
from stepup.domain.errors import (
    DependencyUnavailableError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
    TooManyAttemptsError,
)
from stepup.domain.generation import Generation, is_below
from stepup.domain.ids import (
    AttemptId,
    AuthenticatorId,
    ChallengeId,
    GenerationId,
    SubjectId,
    TokenId,
)
from stepup.domain.revocation import Revoked
from stepup.ports import (
    AccountStore,
    AttemptStore,
    Backlog,
    Changes,
    Clock,
    GenerationRecord,
    Generations,
    Outbox,
    OutboxEntry,
    RecoveryCodeStore,
    ReplayStore,
    State,
    StepStore,
    TokenStore,
    UnknownTokenError,
)
from tests.support.memory_challenges import MemoryChallengeStore
from tests.support.memory_database import MemoryDatabase, memory_database
from tests.support.memory_decisions import MemoryDecisionLog
from tests.support.memory_refreshes import MemoryRefreshStore
from tests.support.memory_revocations import MemoryRevocationFeed
from tests.support.memory_sessions import MemorySessionStore
from tests.support.memory_shadow import MemoryShadowLog
from tests.support.memory_snapshots import MemoryCredentialCache, MemorySnapshotStore
from tests.support.memory_statuses import MemoryStatusStore
from tests.support.time_and_chance import TestClock, TestEntropy

__all__ = ["MemoryDatabase", "TestClock", "TestEntropy", "memory_database", "memory_state"]


Kept = TypeVar("Kept")


def memory_state(clock: Clock | None = None) -> State:
    """Return all of the state in memory; it expires by the given clock."""
    clock = clock or TestClock()
    challenges = MemoryChallengeStore(clock)
    revocations = MemoryRevocationFeed(clock)
    generations = MemoryGenerations(clock)
    return State(
        challenges=challenges,
        steps=MemoryStepStore(generations),
        recovery_codes=MemoryRecoveryCodeStore(),
        attempts=MemoryAttemptStore(generations),
        tokens=MemoryTokenStore(clock, challenges, revocations),
        refreshes=MemoryRefreshStore(clock),
        replays=MemoryReplayStore(clock, generations),
        accounts=MemoryAccountStore(clock),
        sessions=MemorySessionStore(clock),
        outbox=MemoryOutbox(clock),
        decisions=MemoryDecisionLog(clock),
        shadow=MemoryShadowLog(clock),
        changes=MemoryChanges(),
        revocations=revocations,
        statuses=MemoryStatusStore(),
        snapshots=MemorySnapshotStore(),
        credentials=MemoryCredentialCache(clock),
        generations=generations,
    )


class MemoryStepStore(StepStore):
    """Last steps in a dictionary."""

    def __init__(self, generations: "MemoryGenerations") -> None:
        self._generations = generations
        self._last: dict[tuple[SubjectId, AuthenticatorId], tuple[int, AttemptId | None]] = {}

    @override
    async def accept(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        step: int,
        attempt: AttemptId | None = None,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        await asyncio.sleep(0)
        if is_below(self._generations.floor_at, possible_since):
            return False
        last, by = self._last.get((subject_id, authenticator_id), (-1, None))
        if step > last:
            self._last[subject_id, authenticator_id] = (step, attempt)
            return True
        return step == last and attempt is not None and attempt == by

    @override
    async def retire(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> None:
        await asyncio.sleep(0)
        self._last[subject_id, authenticator_id] = (sys.maxsize, None)

    @override
    async def is_retired(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> bool:
        await asyncio.sleep(0)
        return self._last.get((subject_id, authenticator_id), (-1, None))[0] == sys.maxsize


class MemoryRecoveryCodeStore(RecoveryCodeStore):
    """Who used each code; None stands for a void one."""

    def __init__(self) -> None:
        self._used: dict[tuple[SubjectId, AuthenticatorId, bytes], AttemptId | None] = {}

    @override
    async def spend(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digest: bytes,
        attempt: AttemptId,
    ) -> bool:
        await asyncio.sleep(0)
        return (
            self._used.setdefault((subject_id, authenticator_id, code_digest), attempt) == attempt
        )

    @override
    async def void(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digests: Iterable[bytes],
    ) -> None:
        await asyncio.sleep(0)
        for code_digest in code_digests:
            self._used.setdefault((subject_id, authenticator_id, code_digest), None)


class MemoryAttemptStore(AttemptStore):
    """GCRA buckets in a dictionary: the time at which each is full again, and the floor then."""

    def __init__(self, generations: "MemoryGenerations") -> None:
        self._generations = generations
        self._full_at: dict[tuple[SubjectId, Method], tuple[datetime, datetime | None]] = {}

    @override
    async def spend(self, subject_id: SubjectId, method: Method, now: datetime) -> None:
        await asyncio.sleep(0)
        floor_at = self._generations.floor_at
        full_at, under = self._full_at.get((subject_id, method), (now, floor_at))
        if full_at > now and under != floor_at:
            full_at = max(full_at, now + METHOD_PAUSE - METHOD_PAUSE / TRIES_PER_METHOD)
        full_at = max(full_at, now) + METHOD_PAUSE / TRIES_PER_METHOD
        if full_at - now > METHOD_PAUSE:
            raise TooManyAttemptsError(retry_after=full_at - now - METHOD_PAUSE)
        self._full_at[subject_id, method] = (full_at, floor_at)

    @override
    async def forgive(self, subject_id: SubjectId, method: Method) -> None:
        await asyncio.sleep(0)
        self._full_at.pop((subject_id, method), None)


class MemoryTokenStore(TokenStore):
    """Once-only records and revocation marks in dictionaries."""

    def __init__(
        self, clock: Clock, challenges: MemoryChallengeStore, revocations: MemoryRevocationFeed
    ) -> None:
        self._clock = clock
        self._challenges = challenges
        self._once = challenges.once
        self._revocations = revocations

    @override
    async def consume(
        self,
        challenge_id: ChallengeId,
        token_id: TokenId,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> datetime:
        await asyncio.sleep(0)
        if everywhere and not self._challenges.replicated:
            raise DependencyUnavailableError
        if self._is_revoked(token_id):
            raise TokenNotConsumableError
        record = self._once.get(challenge_id)
        if record is None or record.kept_until <= self._clock.now():
            raise UnknownTokenError
        if record.consumed_at is None:
            record.by, record.token_id, record.consumed_at = attempt, token_id, now
        if (record.by, record.token_id) != (attempt, token_id):
            raise TokenAlreadyConsumedError(record.consumed_at)
        return record.consumed_at

    @override
    async def is_revoked(self, token_id: TokenId) -> bool:
        await asyncio.sleep(0)
        return self._is_revoked(token_id)

    @override
    async def is_usable(self, challenge_id: ChallengeId) -> bool:
        await asyncio.sleep(0)
        record = self._once.get(challenge_id)
        is_there = record is not None and self._clock.now() < record.kept_until
        return is_there and record.by is None

    def _is_revoked(self, token_id: TokenId) -> bool:
        return self._revocations.is_marked(Revoked.TOKEN, token_id)


class MemoryReplayStore(ReplayStore):
    """Seen identifiers in a dictionary."""

    def __init__(self, clock: Clock, generations: "MemoryGenerations") -> None:
        self._clock = clock
        self._generations = generations
        self._seen: dict[tuple[str, str], tuple[AttemptId, datetime]] = {}

    @override
    async def remember(
        self,
        scope: str,
        identifier: str,
        attempt: AttemptId,
        until: datetime,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        await asyncio.sleep(0)
        if is_below(self._generations.floor_at, possible_since):
            return False
        seen = self._seen.get((scope, identifier))
        if seen is None or seen[1] <= self._clock.now():
            self._seen[scope, identifier] = (attempt, until)
            return True
        return seen[0] == attempt


class _Drawer(Generic[Kept]):
    """Values that expire, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[str, tuple[Kept, datetime]] = {}

    async def put(self, name: str, value: Kept, until: datetime) -> None:
        await asyncio.sleep(0)
        self._values[name] = (value, until)

    async def replace(self, name: str, value: Kept, until: datetime) -> bool:
        await asyncio.sleep(0)
        if self._live(self._values.get(name)) is None:
            return False
        self._values[name] = (value, until)
        return True

    async def find(self, name: str) -> Kept | None:
        await asyncio.sleep(0)
        return self._live(self._values.get(name))

    async def take(self, name: str) -> Kept | None:
        await asyncio.sleep(0)
        return self._live(self._values.pop(name, None))

    def _live(self, entry: tuple[Kept, datetime] | None) -> Kept | None:
        return entry[0] if entry and self._clock.now() < entry[1] else None


class MemoryAccountStore(AccountStore):
    """What the account pages keep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: _Drawer[AccountSession] = _Drawer(clock)
        self._logins: _Drawer[PendingLogin] = _Drawer(clock)
        self._elevations: _Drawer[PendingElevation] = _Drawer(clock)
        self._enrollments: _Drawer[PendingEnrollment] = _Drawer(clock)

    def _in(self, span: timedelta) -> datetime:
        return self._clock.now() + span

    @override
    async def put_session(self, digest: str, session: AccountSession) -> None:
        await self._sessions.put(digest, session, session.expires_at)

    @override
    async def find_session(self, digest: str) -> AccountSession | None:
        return await self._sessions.find(digest)

    @override
    async def replace_session(self, digest: str, session: AccountSession) -> bool:
        return await self._sessions.replace(digest, session, session.expires_at)

    @override
    async def remove_session(self, digest: str) -> None:
        await self._sessions.take(digest)

    @override
    async def add_login(self, digest: str, login: PendingLogin) -> None:
        await self._logins.put(digest, login, self._in(LOGIN_LIFETIME))

    @override
    async def consume_login(self, digest: str) -> PendingLogin | None:
        return await self._logins.take(digest)

    @override
    async def add_elevation(self, digest: str, elevation: PendingElevation) -> None:
        until = self._in(CHALLENGE_LIFETIME + CODE_LIFETIME)
        await self._elevations.put(digest, elevation, until)

    @override
    async def consume_elevation(self, digest: str) -> PendingElevation | None:
        return await self._elevations.take(digest)

    @override
    async def add_enrollment(self, enrollment_id: str, enrollment: PendingEnrollment) -> None:
        await self._enrollments.put(enrollment_id, enrollment, self._in(ENROLLMENT_LIFETIME))

    @override
    async def find_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        return await self._enrollments.find(enrollment_id)

    @override
    async def consume_enrollment(self, enrollment_id: str) -> PendingEnrollment | None:
        return await self._enrollments.take(enrollment_id)


class MemoryOutbox(Outbox):
    """Entries in a dictionary, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._count = 0
        self._entries: dict[str, OutboxEntry] = {}
        self._added: dict[str, datetime] = {}
        self._clock = clock

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        await asyncio.sleep(0)
        for entry in entries:
            self._count += 1
            self._entries[f"{self._count}-0"] = entry
            self._added[f"{self._count}-0"] = self._clock.now()

    @override
    async def read(self, count: int) -> Sequence[tuple[str, OutboxEntry]]:
        await asyncio.sleep(0)
        return list(self._entries.items())[:count]

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await asyncio.sleep(0)
        for entry_id in entry_ids:
            self._entries.pop(entry_id, None)

    @override
    async def backlog(self) -> Backlog:
        await asyncio.sleep(0)
        oldest = next(iter(self._entries), None)
        return Backlog(len(self._entries), None if oldest is None else self._added[oldest])


class MemoryChanges(Changes):
    """Announcements to everybody who listens in this process."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[None]] = set()

    @override
    async def announce(self) -> None:
        for listener in self._listeners:
            listener.put_nowait(None)

    @override
    async def listen(self) -> AsyncIterator[None]:
        queue: asyncio.Queue[None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                await queue.get()
                yield None
        finally:
            self._listeners.discard(queue)


class MemoryGenerations(Generations):
    """A generation that tests lose when they like."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost: asyncio.Queue[Generation] = asyncio.Queue()
        self._count = 1
        self._current = Generation(
            id=GenerationId("generation-1"), begun_at=clock.now(), histories=frozenset()
        )

    @property
    def floor_at(self) -> datetime | None:
        """The floor."""
        return self._current.floor_at

    @override
    async def current(self) -> Generation:
        return self._current

    @override
    async def raise_floor(self, at: datetime) -> None:
        floor_at = max(at, self._current.floor_at or at)
        self._current = msgspec.structs.replace(self._current, floor_at=floor_at)

    @override
    async def losses(self) -> AsyncIterator[Generation]:
        while True:
            yield await self._lost.get()

    async def lose(self) -> Generation:
        """Begin another generation, as after a loss of all data."""
        self._count += 1
        begun = Generation(
            id=GenerationId(f"generation-{self._count}"),
            begun_at=self._clock.now(),
            histories=frozenset(),
        )
        self._current = begun
        await self.raise_floor(self._clock.now())
        self._lost.put_nowait(self._current)
        return self._current


class MemoryGenerationRecord(GenerationRecord):
    """Generations in a list; `away` while nobody can say."""

    def __init__(self) -> None:
        self.away = False
        self.generations: list[Generation] = []

    @override
    async def last(self) -> GenerationId | None:
        await asyncio.sleep(0)
        if self.away:
            raise DependencyUnavailableError
        youngest = max(self.generations, key=lambda each: each.begun_at, default=None)
        return youngest.id if youngest else None

    @override
    async def add(self, generation: Generation) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise DependencyUnavailableError
        self.generations.append(generation)
