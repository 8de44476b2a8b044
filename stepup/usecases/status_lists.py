"""Status lists as every instance publishes them, made beside the requests and once per change.

Each instance reads which tokens have which places, and judges them by what it knows of revocations.
Only a change makes a list anew; who asks is given bytes that are there already.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from stepup.crypto.status_list import (
    PackedStatuses,
    StatusListClaims,
    compressed,
    sign_status_list,
)
from stepup.domain import status
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from stepup.domain.ids import KeyId
from stepup.domain.keyring import KeyUse
from stepup.domain.revocation import BOUND, Revocation
from stepup.domain.status import ListedToken, ListName, Status
from stepup.domain.status_errors import StatusListNotFoundError
from stepup.ports import Ports
from stepup.usecases.listing import uri_of
from stepup.usecases.revocation_feed import LiveRevocations

LOOK_EVERY = timedelta(milliseconds=500)
# The loop serves others in between.
JUDGED_AT_ONCE = 500
# Past so many it is quicker to judge every token than to look for each of them.
SOUGHT_AT_ONCE = 5

_TOO_OLD = "What was revoked lately is not known here; try again shortly."
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ListedToken)


class PublishedList(NamedTuple):
    """A signed list, and the same compressed for callers that take it so."""

    body: bytes
    gzipped: bytes
    signed_at: datetime
    key_id: KeyId


class _List:
    """One list as it grows: statuses, and the tokens that may still end."""

    def __init__(self) -> None:
        self.statuses = PackedStatuses(status.BITS, status.PLACES)
        # Encoded, because a window may have a hundred thousand of them.
        self.living: list[bytes] = []
        self.published: PublishedList | None = None
        self.lst = ""
        self.changes = 0
        self.published_changes = -1


class _Window:
    def __init__(self) -> None:
        self.read = 0
        self.last: ListedToken | None = None
        self.lists: dict[str, _List] = {}


class LiveStatusLists:
    """The lists of one process. `monotonic` is that of its revocations."""

    def __init__(self, live: LiveRevocations, monotonic: Callable[[], float]) -> None:
        self._live = live
        self._monotonic = monotonic
        self._windows: dict[int, _Window] = {}
        self._known_at: float | None = None
        self._learned = 0
        self._looking = asyncio.Lock()
        self._begun = self._done = 0

    async def publish(self, ports: Ports) -> None:
        """Read which tokens are new, judge them and what was revoked, and sign what has changed.

        Raises:
            StepUpError: If a store does not answer, or there is no key yet.
        """
        async with self._looking:
            await self._look(ports)

    async def find(self, ports: Ports, text: str) -> PublishedList:
        """Return a list as it was last published.

        Raises:
            StatusListNotFoundError: If there is none of this name.
            DependencyUnavailableError: If this instance does not know well enough what ended.
        """
        name = ListName.parse(text)
        now = ports.clock.now()
        if (
            name is None
            or name.region != ports.site.region
            or name.window not in status.living_windows(now)
        ):
            raise StatusListNotFoundError
        if self._published(name) is None:
            # Its first token may be a moment old, and of another instance.
            await self._look_since_now(ports)
        self._require_known()
        published = self._published(name)
        if published is None:
            raise StatusListNotFoundError
        return published

    async def names(self, ports: Ports) -> list[ListName]:
        """Return every list that is published.

        Raises:
            DependencyUnavailableError: If this instance does not know which there are.
        """
        if self._known_at is None:
            await self._look_since_now(ports)
        self._require_known()
        region = ports.site.region
        return [
            ListName(region, window, drawn)
            for window, known in sorted(self._windows.items())
            for drawn in known.lists
        ]

    async def _look_since_now(self, ports: Ports) -> None:
        """Look, unless somebody does who begins after this; anybody may ask for any name.

        However many wait in line, one look answers them all.
        """
        asked = self._begun
        async with self._looking:
            if self._done <= asked:
                await self._look(ports)

    async def _look(self, ports: Ports) -> None:
        self._begun += 1
        began, now = self._monotonic(), ports.clock.now()
        for window in status.living_windows(now):
            await self._read_new(ports, window)
        await self._judge_again()
        for window in [*self._windows]:
            if status.end_of(window) + status.LIST_LIFETIME <= now:
                del self._windows[window]
        for window, known in self._windows.items():
            for drawn, each in [*known.lists.items()]:
                await self._sign(ports, ListName(ports.site.region, window, drawn), each)
        self._known_at, self._done = began, self._begun

    def _published(self, name: ListName) -> PublishedList | None:
        window = self._windows.get(name.window)
        listed = None if window is None else window.lists.get(name.drawn)
        return None if listed is None else listed.published

    def _require_known(self) -> None:
        age = self._live.age
        is_known = age is not None and age <= BOUND and self._known_at is not None
        if not is_known or self._monotonic() - (self._known_at or 0.0) > BOUND.total_seconds():
            raise DependencyUnavailableError(_TOO_OLD)

    async def _read_new(self, ports: Ports, number: int) -> None:
        window = self._windows.setdefault(number, _Window())
        while True:
            # The last one again: a state that was lost, and has filled up since, begins with others.
            page = await ports.state.statuses.read(number, max(window.read - 1, 0))
            if window.last is not None:
                if not page or page[0] != window.last:
                    window.read, window.last = 0, None
                    continue
                page = page[1:]
            if not page:
                return
            for count, token in enumerate(page):
                if count % JUDGED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                each = window.lists.setdefault(token.drawn, _List())
                if not self._end(each, token):
                    each.living.append(_encoder.encode(token))
            window.read, window.last = window.read + len(page), page[-1]

    def _end(self, listed: _List, token: ListedToken) -> bool:
        if not self._live.ends(token.grounds):
            return False
        listed.statuses[token.place] = Status.INVALID
        listed.changes += 1
        return True

    async def _judge_again(self) -> None:
        count = self._live.learned
        new = self._live.learned_since(self._learned)
        is_many = new is None or len(new) > SOUGHT_AT_ONCE
        sought = None if new is None or is_many else [*_values(new)]
        if sought is None or sought:
            for window in self._windows.values():
                for each in window.lists.values():
                    await self._judge(each, sought)
        self._learned = count

    async def _judge(self, listed: _List, sought: list[bytes] | None) -> None:
        living: list[bytes] = []
        for place, text in enumerate(listed.living):
            if place % JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            concerned = sought is None or any(value in text for value in sought)
            if not concerned or not self._end(listed, _decoder.decode(text)):
                living.append(text)
        listed.living = living

    async def _sign(self, ports: Ports, name: ListName, listed: _List) -> None:
        now, published = ports.clock.now(), listed.published
        key = ports.snapshot.keyring.signer(KeyUse.STATUS_LIST)
        # What changes while it is compressed is in the list of the next look.
        changes = listed.changes
        if changes != listed.published_changes:
            listed.lst = await asyncio.to_thread(compressed, bytes(listed.statuses))
        elif (
            published is not None
            and published.key_id == key.id
            and now - published.signed_at < status.SIGNED_AGAIN_AFTER
        ):
            return
        claims = StatusListClaims(
            uri=uri_of(ports, name),
            aggregation_uri=ports.site.url(status.STATUS_PATH),
            bits=status.BITS,
            issued_at=now,
            lifetime=status.LIST_LIFETIME,
            ttl=status.TTL,
        )
        body = sign_status_list(claims, listed.lst, key).encode()
        gzipped = await asyncio.to_thread(gzip.compress, body, mtime=0)
        listed.published = PublishedList(body, gzipped, now, key.id)
        # Last: what failed on the way is made again.
        listed.published_changes = changes


async def follow(ports: Ports, lists: LiveStatusLists) -> None:
    """Keep the lists, for ever; bears a store that is away, when none is given out."""
    while True:
        with suppress(StepUpError, LookupError):
            await lists.publish(ports)
        await asyncio.sleep(LOOK_EVERY.total_seconds())


def _values(revocations: Iterable[Revocation]) -> Iterable[bytes]:
    for revocation in revocations:
        yield revocation.value.encode()
        subject_id = revocation.subject_of_authenticator
        if subject_id is not None:
            yield f"{subject_id}/".encode()
