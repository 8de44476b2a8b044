"""Revocations: where they are kept, how every instance hears of them, and what it knows.

A revocation has two homes, a row in PostgreSQL and a mark in Redis, and a copy in the memory of
every process, so that one of the three is there whatever fails.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from stepup.domain.ids import KeyId
from stepup.domain.revocation import Ground, Revocation
from stepup.domain.token import ElevatedToken


class FeedPlace(NamedTuple):
    """How far somebody has read: the last entry, and the number of the last revocation."""

    entry_id: str
    number: int


class FeedPage(NamedTuple):
    """What came after a place. `newest` is the number of the last revocation at that moment.

    `last_at` is when the last entry was added, by the clock of whoever added it. `is_continued` is
    False when the entry at the place is not there any more: this is another feed.
    """

    numbered: Sequence[tuple[int, Revocation | None]]
    place: FeedPlace
    newest: int
    last_at: datetime | None
    is_last: bool
    is_continued: bool = True


class RevocationFeed(Protocol):
    """Marks that introspection reads, and the stream that every instance follows."""

    async def publish(self, revocation: Revocation) -> None:
        """Mark what was revoked and tell every instance, in one; again is harmless.

        Marks are kept until nothing that the revocation ends can be alive.
        """
        ...

    async def is_revoked(self, token: ElevatedToken, key_id: KeyId) -> bool:
        """Say whether a token has a mark, or anything that it can end by."""
        ...

    async def read(self, after: FeedPlace) -> FeedPage:
        """Return what was published since; counts only from a server that is the primary.

        Whatever was acknowledged before the call is in it, or its numbers show a gap. An entry of
        a release before the first that numbered them is None.

        Raises:
            NewerFormatError: If one is about something that this release does not know.
        """
        ...

    async def read_all(self) -> tuple[Sequence[Revocation], FeedPlace]:
        """Return all that still concerns somebody, and from where to read on.

        Raises:
            NewerFormatError: As `read` does.
        """
        ...

    async def beat(self) -> None:
        """Add a heartbeat, unless somebody did within a second; failing to is not an error."""
        ...

    def listen(self) -> AsyncIterator[Revocation | None]:
        """Yield what is published from now on, None for a heartbeat, for ever; reconnects by itself.

        Quick, and no more than that: what a deposed primary says is heard, too.
        """
        ...


class WrittenRevocation(NamedTuple):
    """A row, and when it was written, by the clock of the database."""

    revocation: Revocation
    written_at: datetime


class RevocationStore(Protocol):
    """Revocations for good."""

    async def add(self, revocations: Sequence[Revocation]) -> None:
        """Keep revocations; of several about one thing the strictest; again is harmless."""
        ...

    async def live(
        self, now: datetime, *, since: datetime | None = None
    ) -> Sequence[WrittenRevocation]:
        """Return what still concerns somebody, in the order of writing; those written since.

        Raises:
            DependencyUnavailableError: Also if the server is a standby, which may lag behind.
            NewerFormatError: If a row is about something that this release does not know.
        """
        ...

    async def forget(self, ended_before: datetime) -> None:
        """Delete what has concerned nobody since long."""
        ...


class KnownRevocations(Protocol):
    """What this process knows: asked by every check, never waited for."""

    def covers(self, token: ElevatedToken, key_id: str | None) -> bool:
        """Say whether a token that was signed with this key is known to be revoked."""
        ...

    def ends(self, grounds: Iterable[Ground]) -> bool:
        """Say whether one of these is known to be revoked."""
        ...

    @property
    def age(self) -> timedelta | None:
        """How long ago everything that was acknowledged was known here; None for never."""
        ...

    def learn(self, revocation: Revocation, *, published: bool) -> None:
        """Know of a revocation at once; one that Redis does not have is published later."""
        ...

    def entries(self) -> Sequence[Revocation]:
        """Return all that is known."""
        ...
