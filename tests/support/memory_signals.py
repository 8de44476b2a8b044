"""Streams, what waits in them and what it is made of, in dictionaries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.domain.authenticator import Authenticator
from stepup.domain.ids import AuthenticatorId, ChallengeId, ClientId, Subject, SubjectId, TokenId
from stepup.domain.signal_source import Elevation
from stepup.domain.streams import DeliveryMethod, QueuedEvent, Stream, StreamId, StreamStatus
from stepup.ports import (
    PushHealth,
    PushTurn,
    SignalBacklog,
    SignalQueue,
    SignalSource,
    StreamStore,
)


@dataclass
class Turn:
    """What moves beside a stream."""

    verified_at: datetime | None = None
    health: PushHealth = field(default_factory=PushHealth)
    next_at: datetime | None = None
    until: datetime | None = None


@dataclass
class SignalRows:
    """All rows."""

    streams: dict[StreamId, Stream] = field(default_factory=dict)
    turns: dict[StreamId, Turn] = field(default_factory=dict)
    choices: dict[tuple[StreamId, SubjectId], bool] = field(default_factory=dict)
    queue: dict[tuple[StreamId, str], QueuedEvent] = field(default_factory=dict)
    elevations: dict[TokenId, Elevation] = field(default_factory=dict)
    names: dict[SubjectId, Subject] = field(default_factory=dict)
    place: list[int] = field(default_factory=list)

    def copy(self) -> "SignalRows":
        """Copy every table; the rows are immutable, turns excepted."""
        copied = SignalRows(**{f.name: getattr(self, f.name).copy() for f in fields(self)})
        copied.turns = {key: Turn(**vars(turn)) for key, turn in self.turns.items()}
        return copied


class MemoryStreamStore(StreamStore):
    """Streams in a dictionary."""

    def __init__(self, rows: SignalRows) -> None:
        self._rows = rows

    @override
    async def all(self) -> Sequence[Stream]:
        return sorted(self._rows.streams.values(), key=lambda each: (each.created_at, each.id))

    @override
    async def of_client(self, client_id: ClientId) -> Sequence[Stream]:
        return [each for each in await self.all() if each.client_id == client_id]

    @override
    async def lock(self, stream_id: StreamId) -> Stream | None:
        return self._rows.streams.get(stream_id)

    @override
    async def put(self, stream: Stream) -> None:
        self._rows.streams[stream.id] = stream
        turn = self._rows.turns.setdefault(stream.id, Turn())
        turn.health, turn.next_at = PushHealth(), None

    @override
    async def remove(self, stream_id: StreamId) -> None:
        self._rows.streams.pop(stream_id, None)
        self._rows.turns.pop(stream_id, None)
        for rows in (self._rows.choices, self._rows.queue):
            for key in [key for key in rows if key[0] == stream_id]:
                del rows[key]

    @override
    async def choose(self, stream_id: StreamId, subject_id: SubjectId, *, wanted: bool) -> None:
        self._rows.choices[stream_id, subject_id] = wanted

    @override
    async def choices(self, subject_id: SubjectId) -> Mapping[StreamId, bool]:
        found = self._rows.choices.items()
        return {stream: wanted for (stream, subject), wanted in found if subject == subject_id}

    @override
    async def verify(self, stream_id: StreamId, at: datetime, not_since: datetime) -> bool:
        turn = self._rows.turns.get(stream_id)
        if turn is None or (turn.verified_at is not None and turn.verified_at > not_since):
            return False
        turn.verified_at = at
        return True

    @override
    async def take_turn(self, at: datetime, until: datetime) -> PushTurn | None:
        for stream in sorted(self._rows.streams.values(), key=lambda s: self._order(s.id)):
            turn = self._rows.turns[stream.id]
            if (
                stream.delivery.method is DeliveryMethod.PUSH
                and (turn.next_at is None or turn.next_at <= at)
                and (turn.until is None or turn.until <= at)
                and await MemorySignalQueue(self._rows).waiting(stream, 1)
            ):
                turn.until = until
                return PushTurn(stream, turn.health)
        return None

    @override
    async def end_turn(self, stream_id: StreamId, health: PushHealth, next_at: datetime) -> None:
        if stream_id in self._rows.turns:
            turn = self._rows.turns[stream_id]
            turn.health, turn.next_at, turn.until = health, next_at, None

    def _order(self, stream_id: StreamId) -> tuple[bool, datetime | str, str]:
        next_at = self._rows.turns[stream_id].next_at
        return (next_at is not None, next_at or "", stream_id)


class MemorySignalQueue(SignalQueue):
    """Events in the order of writing."""

    def __init__(self, rows: SignalRows) -> None:
        self._rows = rows.queue

    @override
    async def add(self, events: Sequence[QueuedEvent]) -> None:
        for event in events:
            self._rows.setdefault((event.stream_id, event.id), event)

    @override
    async def waiting(self, stream: Stream, count: int) -> Sequence[QueuedEvent]:
        if stream.status is StreamStatus.DISABLED:
            return []
        held = stream.status is StreamStatus.PAUSED
        return [
            each
            for each in self._of(stream.id)
            if each.problem is None and (each.parting or not held)
        ][:count]

    @override
    async def forget(self, stream_id: StreamId, event_ids: Collection[str]) -> int:
        return sum(self._rows.pop((stream_id, each), None) is not None for each in event_ids)

    @override
    async def drop_waiting(self, stream_id: StreamId) -> None:
        for each in self._of(stream_id):
            if each.problem is None:
                del self._rows[stream_id, each.id]

    @override
    async def tried(self, stream_id: StreamId, event_id: str) -> int:
        event = self._rows.get((stream_id, event_id))
        if event is None:
            return 0
        tried = msgspec.structs.replace(event, tries=event.tries + 1)
        self._rows[stream_id, event_id] = tried
        return tried.tries

    @override
    async def set_aside(self, stream_id: StreamId, problems: Mapping[str, str]) -> int:
        changed = 0
        for event_id, problem in problems.items():
            event = self._rows.get((stream_id, event_id))
            if event is not None and event.problem is None:
                changed += 1
                self._rows[stream_id, event_id] = msgspec.structs.replace(event, problem=problem)
        return changed

    @override
    async def aside(self, stream_id: StreamId) -> Sequence[QueuedEvent]:
        return [each for each in self._of(stream_id) if each.problem is not None]

    @override
    async def return_aside(self, stream_id: StreamId) -> int:
        found = await self.aside(stream_id)
        for each in found:
            again = msgspec.structs.replace(each, problem=None, tries=0)
            self._rows[stream_id, each.id] = again
        return len(found)

    @override
    async def expire(self, before: datetime) -> int:
        old = [key for key, each in self._rows.items() if each.queued_at < before]
        for key in old:
            del self._rows[key]
        return len(old)

    @override
    async def backlog(self) -> SignalBacklog:
        waiting = [each.queued_at for each in self._rows.values() if each.problem is None]
        return SignalBacklog(
            len(waiting), min(waiting, default=None), len(self._rows) - len(waiting)
        )

    def _of(self, stream_id: StreamId) -> list[QueuedEvent]:
        return [each for each in self._rows.values() if each.stream_id == stream_id]


class MemorySignalSource(SignalSource):
    """Names from the authenticators, elevations in a dictionary."""

    def __init__(
        self, rows: SignalRows, authenticators: Mapping[AuthenticatorId, Authenticator]
    ) -> None:
        self._rows = rows
        # What the trigger does in PostgreSQL.
        rows.names.update({a.subject.id: a.subject for a in authenticators.values()})

    @override
    async def place(self) -> int | None:
        return self._rows.place[-1] if self._rows.place else None

    @override
    async def move(self, position: int) -> None:
        self._rows.place[:] = [position]

    @override
    async def name(self, subject_id: SubjectId) -> Subject | None:
        return self._rows.names.get(subject_id)

    @override
    async def forget_names(self, gone_before: datetime) -> None:
        pass  # nobody leaves memory

    @override
    async def elevations(self, subject_id: SubjectId) -> Sequence[Elevation]:
        return [e for e in self._rows.elevations.values() if e.subject_id == subject_id]

    @override
    async def elevation(self, token_id: TokenId) -> Elevation | None:
        return self._rows.elevations.get(token_id)

    @override
    async def of_grant(self, challenge_id: ChallengeId) -> Sequence[Elevation]:
        found = self._rows.elevations.values()
        return [each for each in found if each.token_id.startswith(f"{challenge_id}.")]

    @override
    async def begin(self, elevation: Elevation) -> None:
        self._rows.elevations.setdefault(elevation.token_id, elevation)

    @override
    async def end(self, token_ids: Collection[TokenId]) -> None:
        for token_id in token_ids:
            self._rows.elevations.pop(token_id, None)

    @override
    async def expired(self, now: datetime, count: int) -> Sequence[Elevation]:
        over = [e for e in self._rows.elevations.values() if e.until <= now]
        return sorted(over, key=lambda e: e.until)[:count]
