"""Recorded decisions on their way to PostgreSQL, in a stream of their own.

Nobody waits for an acknowledgement: who loses a primary loses what it had not passed on, a few
milliseconds of records. What was sent twice has the same identifier and is written once.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.entries import WaitingEntries
from stepup.adapters.redis.held_records import Held, HeldRecords
from stepup.domain.recorded_decision import RecordedDecision
from stepup.ports import Backlog, DecisionLog

# Some 20,000 records: seconds of a busy worker, and nothing that its memory would notice.
MOST_HELD_BYTES = 16 * 1024 * 1024
# What may wait for PostgreSQL (docs/operations.md says how much memory that is).
MOST_WAITING = 500_000
# One script runs for some hundred microseconds, and nobody behind it waits longer.
SENT_AT_ONCE = 200
MOST_SENT_BYTES = 256 * 1024

_json = msgspec.json.Encoder()
_record = msgspec.json.Decoder(RecordedDecision)


class RedisDecisionLog(DecisionLog):
    """Holds records until they are flushed; of `most_waiting` half is for allowances."""

    def __init__(self, client: RedisClient, most_waiting: int = MOST_WAITING) -> None:
        self._client = client
        self._most_waiting = most_waiting
        self._waiting = WaitingEntries(client, keys.decisions(), _record)
        self._held = HeldRecords(MOST_HELD_BYTES)
        self._flushing = asyncio.Lock()

    @override
    def add(self, record: RecordedDecision) -> None:
        try:
            text = _json.encode(record)
        except (UnicodeEncodeError, ValueError, OverflowError, RecursionError):
            # Nothing that a caller can send; but a decision must not fail for its record.
            _dropped("unwritable", 1)
            return
        _dropped("held_too_long", self._held.add(Held(text, record.outcome, record.is_refusal)))

    @override
    async def flush(self) -> None:
        async with self._flushing:
            while self._held:
                await self._send()

    @override
    async def read(self, count: int) -> Sequence[tuple[str, RecordedDecision]]:
        return await self._waiting.read(count)

    @override
    async def remove(self, entry_ids: Sequence[str]) -> None:
        await self._waiting.remove(entry_ids)

    @override
    async def backlog(self) -> Backlog:
        return await self._waiting.backlog()

    async def _send(self) -> None:
        taken, allowed = self._held.take(SENT_AT_ONCE, MOST_SENT_BYTES)
        # Before the stream is full there is room left for what is always kept.
        room = self._most_waiting // 2 if allowed else self._most_waiting
        sent = False
        try:
            reply = await self._client.run(
                scripts.APPEND_RECORDS, [keys.decisions()], [room, *(held.text for held in taken)]
            )
            sent = True
        finally:
            if not sent:
                _dropped("held_too_long", self._held.put_back(taken))
        added = int(reply.values[0])
        for held in taken[:added]:
            telemetry.decision_records_total.labels(held.outcome).inc()
        _dropped("stream_full", len(taken) - added)


def _dropped(reason: str, count: int) -> None:
    if count:
        telemetry.decision_records_dropped_total.labels(reason).inc(count)
