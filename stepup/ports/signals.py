"""What waits to be told to others, and who must not be told twice."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from stepup.domain.ids import ChallengeId, ClientId, Subject, SubjectId, TokenId
from stepup.domain.pushing import Verdict
from stepup.domain.signal_source import Elevation
from stepup.domain.streams import QueuedEvent, Stream, StreamId


class PushHealth(NamedTuple):
    """How pushing goes: tries that failed in a row, and events set aside in a row."""

    failures: int = 0
    refusals: int = 0


class PushTurn(NamedTuple):
    """A stream that this instance may push to until its turn ends, and how that went so far."""

    stream: Stream
    health: PushHealth


class SignalBacklog(NamedTuple):
    """What waits for receivers: how many events, since when, and how many were set aside."""

    waiting: int
    oldest_at: datetime | None
    set_aside: int


class StreamStore(Protocol):
    """Event streams with what their receivers said of subjects."""

    async def all(self) -> Sequence[Stream]:
        """Return every stream, oldest first."""
        ...

    async def of_client(self, client_id: ClientId) -> Sequence[Stream]:
        """Return a receiver's streams, oldest first."""
        ...

    async def lock(self, stream_id: StreamId) -> Stream | None:
        """Return a stream that nobody else changes until this transaction ends."""
        ...

    async def put(self, stream: Stream) -> None:
        """Add or replace a stream; pushing begins anew, whatever went wrong before."""
        ...

    async def remove(self, stream_id: StreamId) -> None:
        """Remove a stream and everything that waits in it."""
        ...

    async def choose(self, stream_id: StreamId, subject_id: SubjectId, *, wanted: bool) -> None:
        """Keep what a receiver said of a subject; the last word counts."""
        ...

    async def choices(self, subject_id: SubjectId) -> Mapping[StreamId, bool]:
        """Return what the receivers said of a subject, by stream."""
        ...

    async def verify(self, stream_id: StreamId, at: datetime, not_since: datetime) -> bool:
        """Note a verification; False when there was one after `not_since`.

        Of concurrent callers one gets True.
        """
        ...

    async def take_turn(self, at: datetime, until: datetime) -> PushTurn | None:
        """Take the turn for a pushed stream in which something may leave now, until a moment.

        Of concurrent callers one gets a stream; whoever dies loses it at `until`.
        """
        ...

    async def end_turn(self, stream_id: StreamId, health: PushHealth, next_at: datetime) -> None:
        """Give the turn back, and say when the next one may begin."""
        ...


class SignalQueue(Protocol):
    """SETs on their way: in order per stream, and there until the receiver has them."""

    async def add(self, events: Sequence[QueuedEvent]) -> None:
        """Queue events in order."""
        ...

    async def waiting(self, stream: Stream, count: int) -> Sequence[QueuedEvent]:
        """Return the oldest events that may leave: while it is paused the parting one alone."""
        ...

    async def forget(self, stream_id: StreamId, event_ids: Collection[str]) -> int:
        """Forget what the receiver has; returns how many there were."""
        ...

    async def drop_waiting(self, stream_id: StreamId) -> None:
        """Drop everything that waits in a stream."""
        ...

    async def tried(self, stream_id: StreamId, event_id: str) -> int:
        """Count a try that failed; returns how many there were."""
        ...

    async def set_aside(self, stream_id: StreamId, problems: Mapping[str, str]) -> int:
        """Take events out of the way, each with what was wrong; returns how many there were."""
        ...

    async def aside(self, stream_id: StreamId) -> Sequence[QueuedEvent]:
        """Return what was set aside, oldest first."""
        ...

    async def return_aside(self, stream_id: StreamId) -> int:
        """Let what was set aside wait again, as if never tried; returns how many there were."""
        ...

    async def expire(self, before: datetime) -> int:
        """Drop what was queued before a moment; returns how many there were."""
        ...

    async def backlog(self) -> SignalBacklog:
        """Say how much waits and was set aside."""
        ...


class SignalSource(Protocol):
    """How far the audit log was read, whose digest is whose, and who is elevated."""

    async def place(self) -> int | None:
        """Return the position in the chain that was read last; None when nothing ever was."""
        ...

    async def move(self, position: int) -> None:
        """Say how far it was read."""
        ...

    async def name(self, subject_id: SubjectId) -> Subject | None:
        """Return whom an identifier stands for; None for one who never had an authenticator."""
        ...

    async def forget_names(self, gone_before: datetime) -> None:
        """Forget the names of those whose last authenticator went before a moment."""
        ...

    async def elevations(self, subject_id: SubjectId) -> Sequence[Elevation]:
        """Return the living elevations of a subject."""
        ...

    async def elevation(self, token_id: TokenId) -> Elevation | None:
        """Return the living elevation that a token proves."""
        ...

    async def of_grant(self, challenge_id: ChallengeId) -> Sequence[Elevation]:
        """Return the living elevations that one ceremony gave."""
        ...

    async def begin(self, elevation: Elevation) -> None:
        """Keep an elevation; the same one again is harmless."""
        ...

    async def end(self, token_ids: Collection[TokenId]) -> None:
        """Forget elevations."""
        ...

    async def expired(self, now: datetime, count: int) -> Sequence[Elevation]:
        """Return elevations that are over, oldest first."""
        ...


class Pusher(Protocol):
    """HTTP towards receivers."""

    async def push(self, url: str, text: str, authorization: str | None) -> Verdict:
        """Send a signed SET and say what became of it; never raises for what the receiver does."""
        ...
