"""The audit log as auditors use it: prove the chain, hand it out, adopt what stands beside it.

Everything is read in pages, each in a transaction of its own: the log only ever grows, so a page
that was read stays true.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec

from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import START, ChainHead
from stepup.domain.audit import AuditEvent, AuditKind, AuditRecord, ChainLink
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Ports, Stores

_T = TypeVar("_T")

PAGE = 1000
_PAUSES = (timedelta(seconds=0.5), timedelta(seconds=2), timedelta(seconds=5))
# Not zero: whoever puts an entry there would hide it from the proof, or from the export.
_BEFORE_ALL = -(2**63)


class Fault(StrEnum):
    """What somebody did to the log."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REPLACED = "replaced"


class BrokenLink(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where the chain does not hold."""

    fault: Fault
    position: int
    text: str
    entry_id: str | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: how far the chain holds, and how many entries stand outside it."""

    head: ChainHead
    broken: BrokenLink | None
    unchained: int

    @property
    def holds(self) -> bool:
        """Say whether nothing was found."""
        return self.broken is None and not self.unchained


async def verify(ports: Ports, key: bytes, known: ChainHead | None = None) -> Verified:
    """Walk the chain from its beginning to the first fault.

    `known` is a head that was kept elsewhere. Without one nobody can tell a log whose last entries
    were removed from one that never had them.
    """
    walk = _Walk(key, known)
    async for page in _chain(ports, after=_BEFORE_ALL):
        walk.take(page)
        if walk.broken is not None:
            break
    walk.finish()
    broken = walk.broken
    if broken is not None and broken.fault is Fault.MISSING and walk.awaited is not None:
        broken = await _moved(ports, broken, walk.awaited)
    unchained = await read_patiently(ports, lambda stores: stores.audit.count_unchained())
    return Verified(head=walk.head, broken=broken, unchained=unchained)


async def head(ports: Ports) -> ChainHead:
    """Return the end of the chain, to be kept where nobody who writes the log can write."""
    last = await read_patiently(ports, lambda stores: stores.audit.last_chained())
    return START if last is None or last.link is None else _head_of(last.link)


async def export(
    ports: Ports, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[AuditRecord]:
    """Yield every entry of a time span, `until` excluded, in the order of writing."""
    after = _BEFORE_ALL
    while True:
        page = await read_patiently(ports, _written(after))
        for record in page:
            if (since is None or since <= record.at) and (until is None or record.at < until):
                yield record
        if len(page) < PAGE:
            return
        after = page[-1].seq


async def read_patiently(ports: Ports, read: Callable[[Stores], Awaitable[_T]]) -> _T:
    """Read in a transaction, and again when the database does not answer at once.

    A request cannot wait; whoever proves a long log need not begin anew for one slow page.
    """
    for pause in _PAUSES:
        with contextlib.suppress(DependencyUnavailableError):
            async with ports.database.transaction() as stores:
                return await read(stores)
        await asyncio.sleep(pause.total_seconds())
    async with ports.database.transaction() as stores:
        return await read(stores)


async def adopt(ports: Ports) -> int:
    """Chain the entries that a release without a chain wrote; returns how many there were.

    Whoever can write to the database can write such entries, so this says nothing about them but
    that they have not changed since, and an event of its own says that.
    """
    adopted = 0
    while True:
        async with ports.database.transaction() as stores:
            count = await stores.audit.adopt(_ADOPTED_AT_ONCE)
            if count:
                event = AuditEvent(
                    kind=AuditKind.AUDIT_LOG_ADOPTED,
                    at=ports.clock.now(),
                    details={"count": count},
                )
                await stores.audit.append(ports.entropy.token(16), event)
        adopted += count
        if count < _ADOPTED_AT_ONCE:
            return adopted


# While it runs nobody else appends, and who enrolls waits 0.3 s at most.
_ADOPTED_AT_ONCE = 500


class _Entry(NamedTuple):
    record: AuditRecord
    link: ChainLink


class _Walk:
    """Checks entry after entry; an entry is judged when the one after it is known."""

    def __init__(self, key: bytes, known: ChainHead | None) -> None:
        self.head = START
        self.broken: BrokenLink | None = None
        # The hash that an authentic entry wants before it, when another one stands there.
        self.awaited: bytes | None = None
        self._key = key
        self._known = known
        self._doubtful: _Entry | None = None

    def take(self, page: Iterable[_Entry]) -> None:
        """Check the next entries, up to the first fault."""
        for entry in page:
            self._take(entry)
            if self.broken is not None:
                return

    def finish(self) -> None:
        """Check what can be said at the end."""
        if self.broken is None and self._doubtful is not None:
            self._break(Fault.CHANGED, self._doubtful)
        known = self._known
        if self.broken is None and known is not None and known.position > self.head.position:
            self.broken = BrokenLink(
                fault=Fault.TRUNCATED,
                position=self.head.position + 1,
                text=f"the chain ends at {self.head.position}, but once had {known.position}",
            )

    def _take(self, entry: _Entry) -> None:
        if self._doubtful is not None:
            # The chain goes on as if the doubtful entry were not there, or leads through it.
            inserted = entry.link.previous == self.head.hash and self._is_authentic(entry)
            self._break(Fault.INSERTED if inserted else Fault.CHANGED, self._doubtful)
        elif not self._is_authentic(entry):
            self._doubtful = entry
        elif entry.link.previous != self.head.hash or self._leaves_a_gap(entry):
            self.awaited = entry.link.previous
            self._break(Fault.MISSING, entry)
        else:
            self.head = _head_of(entry.link)
            self._compare_with_known(entry)

    def _compare_with_known(self, entry: _Entry) -> None:
        known = self._known
        if known and known.position == entry.link.position and known.hash != entry.link.hash:
            self._break(Fault.REPLACED, entry)

    def _leaves_a_gap(self, entry: _Entry) -> bool:
        return entry.link.position != self.head.position + 1

    def _is_authentic(self, entry: _Entry) -> bool:
        return audit_chain.is_authentic(self._key, entry.record, entry.link)

    def _break(self, fault: Fault, entry: _Entry) -> None:
        self.broken = BrokenLink(
            fault=fault,
            position=self.head.position + 1 if fault is Fault.MISSING else entry.link.position,
            text=_TEXTS[fault],
            entry_id=entry.record.entry_id,
        )


_TEXTS = {
    Fault.CHANGED: "the entry is not as it was written, or was never written by stepup",
    Fault.MISSING: "entries between the one before and this one are gone",
    Fault.REORDERED: "the entry is authentic, but belongs behind one that comes later",
    Fault.INSERTED: "the chain leads past this entry: it was put in",
    Fault.REPLACED: "the entry is not the one whose hash was kept",
}


async def _moved(ports: Ports, broken: BrokenLink, awaited: bytes) -> BrokenLink:
    """Tell a moved entry from one whose predecessor is gone: the predecessor comes later."""
    async for page in _chain(ports, after=broken.position - 1):
        if any(entry.link.hash == awaited for entry in page):
            return msgspec.structs.replace(
                broken, fault=Fault.REORDERED, text=_TEXTS[Fault.REORDERED]
            )
    return broken


async def _chain(ports: Ports, *, after: int) -> AsyncIterator[Sequence[_Entry]]:
    while True:
        records = await read_patiently(ports, _chained(after))
        page = [_Entry(record, record.link) for record in records if record.link is not None]
        yield page
        if len(page) < PAGE:
            return
        after = page[-1].link.position


def _chained(after: int) -> Callable[[Stores], Awaitable[Sequence[AuditRecord]]]:
    return lambda stores: stores.audit.chained(after=after, count=PAGE)


def _written(after: int) -> Callable[[Stores], Awaitable[Sequence[AuditRecord]]]:
    return lambda stores: stores.audit.written(after=after, count=PAGE)


def _head_of(link: ChainLink) -> ChainHead:
    return ChainHead(link.position, link.hash)
