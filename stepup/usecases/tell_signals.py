"""Make security events of what the audit log tells, and queue them for every stream they belong to.

One instance at a time reads on where the last one stopped, and writes events and place in one
transaction: so each fact is told once, also when PostgreSQL, Redis or an instance went away between
the fact and its telling. What nobody has a stream for is passed over.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stepup.crypto import digests, security_events
from stepup.domain import signal_source
from stepup.domain.audit import AuditRecord
from stepup.domain.client import Role
from stepup.domain.ids import Subject, SubjectId
from stepup.domain.signal_source import Elevation
from stepup.domain.signals import SecurityEvent, Signal
from stepup.domain.streams import QueuedEvent, Stream, StreamStatus
from stepup.ports import Lease, Ports, Stores

BATCH = 200
IDLE_PAUSE = timedelta(milliseconds=500)

_TRANSACTION_PURPOSE = "signal transaction"


async def tell(ports: Ports) -> None:
    """Tell for ever; while PostgreSQL is away everything waits in the log, or on its way there."""
    while True:
        told = 0
        with contextlib.suppress(Exception):
            told = await tell_once(ports)
        if told < BATCH:
            await asyncio.sleep(IDLE_PAUSE.total_seconds())


async def tell_once(ports: Ports) -> int:
    """Tell of the next entries of the log, and of elevations that are over; returns how many."""
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.SIGNALS):
            return 0
        streams = await stores.streams.all()
        listening = [each for each in streams if each.status is not StreamStatus.DISABLED]
        place = await stores.signal_source.place()
        if place is None or not listening:
            await _pass_over(ports, stores, place)
            return 0
        teller = _Teller(ports, stores, listening)
        records = await stores.audit.chained(after=place, count=BATCH)
        for record in records:
            await teller.tell(record)
        over = await stores.signal_source.expired(ports.clock.now(), BATCH)
        for elevation in over:
            await teller.end(elevation.subject_id, [elevation], f"over:{elevation.token_id}")
        await stores.signals.add(teller.queued)
        if records and records[-1].link is not None:
            await stores.signal_source.move(records[-1].link.position)
        return len(records) + len(over)


async def _pass_over(ports: Ports, stores: Stores, place: int | None) -> None:
    """Stand at the end of the log: whoever begins to listen hears what happens from then on."""
    over = await stores.signal_source.expired(ports.clock.now(), BATCH)
    await stores.signal_source.end([each.token_id for each in over])
    head = await stores.audit.last_chained()
    position = head.link.position if head is not None and head.link is not None else 0
    if position != place:
        await stores.signal_source.move(position)


class _Teller:
    """Collects what a batch of entries is worth telling."""

    def __init__(self, ports: Ports, stores: Stores, streams: Sequence[Stream]) -> None:
        self._ports = ports
        self._stores = stores
        self._streams = streams
        self.queued: list[QueuedEvent] = []

    async def tell(self, record: AuditRecord) -> None:
        """Tell of one entry of the log."""
        if (elevation := signal_source.begun(record)) is not None:
            await self._begin(elevation, record)
        elif (challenge_id := signal_source.ended_grant(record)) is not None:
            given = await self._stores.signal_source.of_grant(challenge_id)
            for subject_id in {each.subject_id for each in given}:
                await self.end(subject_id, given, record.entry_id, record.at)
        elif (token_id := signal_source.ended_token(record)) is not None:
            ended = await self._stores.signal_source.elevation(token_id)
            if ended is not None:
                await self.end(ended.subject_id, [ended], record.entry_id, record.at)
        elif record.subject_id is not None:
            await self._tell_of_subject(record, SubjectId(record.subject_id))

    async def end(
        self,
        subject_id: SubjectId,
        ended: Sequence[Elevation],
        record_id: str,
        at: datetime | None = None,
    ) -> None:
        """Forget elevations, and tell if the subject's level is a lower one now."""
        before = await self._stores.signal_source.elevations(subject_id)
        await self._stores.signal_source.end([each.token_id for each in ended])
        after = [each for each in before if each not in ended]
        when = at or max((each.until for each in ended), default=self._ports.clock.now())
        await self._change(subject_id, record_id, when, before, after)

    async def _begin(self, elevation: Elevation, record: AuditRecord) -> None:
        before = await self._stores.signal_source.elevations(elevation.subject_id)
        await self._stores.signal_source.begin(elevation)
        after = [*before, elevation]
        await self._change(elevation.subject_id, record.entry_id, record.at, before, after)

    async def _tell_of_subject(self, record: AuditRecord, subject_id: SubjectId) -> None:
        if not signal_source.is_about_a_subject(record):
            return
        subject = await self._stores.signal_source.name(subject_id)
        if subject is None:
            return
        # What cannot be opened here must not stop what others are told.
        found = await self._stores.authenticators.of_subjects([subject_id])
        enrolled = found.get(subject_id) or ()
        for signal in (
            signal_source.credential_change(record, subject, enrolled),
            signal_source.session_revoked(record, subject),
        ):
            await self._queue(signal, subject)
        living = await self._stores.signal_source.elevations(subject_id)
        if ended := signal_source.ended_with(record, living):
            await self.end(subject_id, ended, record.entry_id, record.at)

    async def _change(
        self,
        subject_id: SubjectId,
        record_id: str,
        at: datetime,
        before: Sequence[Elevation],
        after: Sequence[Elevation],
    ) -> None:
        subject = await self._stores.signal_source.name(subject_id)
        if subject is None:
            return
        ladder = self._ports.snapshot.policy.ladder
        change = signal_source.level_change(
            record_id, subject, ladder, at, before=before, after=after
        )
        await self._queue(change, subject)

    async def _queue(self, signal: Signal | None, subject: Subject) -> None:
        if signal is None:
            return
        choices = await self._stores.streams.choices(subject.id)
        key = digests.derive(self._ports.snapshot.keyring.root, _TRANSACTION_PURPOSE)
        named = digests.encode(digests.keyed_digest(key, signal.transaction)[:15])
        signal = msgspec.structs.replace(signal, transaction=named)
        for stream in self._streams:
            chosen = choices.get(stream.id)
            if may_hear_of(self._ports, stream, subject) and stream.wants(
                signal.type, chosen=chosen
            ):
                self.queued.append(addressed(self._ports, signal, stream))


def is_received(ports: Ports, stream: Stream) -> bool:
    """Say whether a stream's client is in service, and a receiver."""
    client = ports.snapshot.client(stream.client_id)
    return client is not None and client.may(Role.SSF)


def may_hear_of(ports: Ports, stream: Stream, subject: Subject) -> bool:
    """Say whether a receiver may know of a subject: one of the issuer that it is registered with.

    A receiver that was disabled, or is none any more, hears nothing.
    """
    client = ports.snapshot.client(stream.client_id)
    if client is None or not client.may(Role.SSF):
        return False
    return subject.issuer == (client.subject_issuer or ports.site.subject_issuer)


def addressed(
    ports: Ports, signal: Signal, stream: Stream, *, parting: bool = False
) -> QueuedEvent:
    """Write the SET of a signal for one stream; it is signed when it leaves."""
    now = ports.clock.now()
    event = SecurityEvent(
        issuer=ports.site.issuer,
        id=ports.entropy.token(16),
        issued_at=now,
        audiences=(stream.audience,),
        type=signal.type,
        payload=signal.payload,
        sub_id=signal.sub_id,
        transaction=signal.transaction,
    )
    return QueuedEvent(
        stream_id=stream.id,
        id=event.id,
        type=event.type,
        claims=security_events.claims_of(event),
        queued_at=now,
        parting=parting,
    )
