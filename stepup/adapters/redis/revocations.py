"""Revocations in Redis: marks for introspection, and the feed that every instance follows."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.domain.errors import StepUpError
from stepup.domain.ids import KeyId
from stepup.domain.revocation import Revocation, grounds_of
from stepup.domain.token import ElevatedToken
from stepup.ports import Clock, FeedPage, FeedPlace, RevocationFeed

HEARTBEAT = timedelta(seconds=1)
# Far more than ever comes between two looks; whoever was away for long reads several pages.
PAGE = 500
# Before any entry.
_NOTHING = "0-0"
# After any entry that a server will ever make.
_BEYOND = "18446744073709551614-0"

_json = msgspec.json.Encoder()
_revocation = msgspec.json.Decoder(Revocation)


class RedisRevocationFeed(RevocationFeed):
    """Reads go over the connection for spends, because they too count only from the primary."""

    def __init__(self, client: RedisClient, listener: StreamListener, clock: Clock) -> None:
        self._client = client
        self._listener = listener
        self._clock = clock

    @override
    async def publish(self, revocation: Revocation) -> None:
        now = self._clock.now()
        kept = max(revocation.until - now, keys.TOMBSTONE) + keys.TOMBSTONE
        await self._client.spend(
            scripts.REVOKE_TOKEN,
            [
                keys.revoked(revocation.what, revocation.value),
                keys.live_revocations(),
                keys.revocations(),
                keys.revocation_number(),
            ],
            [
                _json.encode(revocation),
                epoch_ms(revocation.before),
                epoch_ms(revocation.until),
                span_ms(kept),
                epoch_ms(now),
                span_ms(keys.FEED_KEPT),
            ],
            same_attempt=True,
        )

    @override
    async def is_revoked(self, token: ElevatedToken, key_id: KeyId) -> bool:
        grounds = grounds_of(token, key_id)
        reply = await self._client.run(
            scripts.READ_MARKS, [keys.revoked(ground.what, ground.value) for ground in grounds]
        )
        return any(
            before is not None and ground.at < from_epoch_ms(before)
            for ground, before in zip(grounds, reply.values, strict=True)
        )

    @override
    async def read(self, after: FeedPlace) -> FeedPage:
        reply = await self._client.spend(
            scripts.READ_REVOCATIONS,
            [keys.revocations(), keys.revocation_number()],
            [after.entry_id, PAGE],
            same_attempt=True,
        )
        known, newest, last, *rows = reply.values
        entries = [(row_id, _fields(values)) for row_id, values in rows]
        numbered = [
            (int(fields.get(b"seq", 0)), _read(fields))
            for _, fields in entries
            if b"revocation" in fields or b"jti" in fields
        ]
        entry_id = entries[-1][0].decode() if entries else after.entry_id
        number = numbered[-1][0] if numbered else after.number
        last_at = _fields(last[1]).get(b"at") if last else None
        return FeedPage(
            numbered=numbered,
            place=FeedPlace(entry_id, number),
            newest=int(newest),
            last_at=None if last_at is None else from_epoch_ms(last_at),
            is_last=len(entries) < PAGE,
            is_continued=after.entry_id == _NOTHING or known == 1,
        )

    @override
    async def read_all(self) -> tuple[Sequence[Revocation], FeedPlace]:
        place = await self._end()
        found: list[Revocation] = []
        cursor = b"0"
        while True:
            reply = await self._client.spend(
                scripts.READ_LIVE_REVOCATIONS,
                [keys.live_revocations()],
                [cursor, PAGE],
                same_attempt=True,
            )
            cursor, *members = reply.values
            found += [each for text in members[::2] if (each := _decoded(text)) is not None]
            if cursor == b"0":
                return found, place

    @override
    async def beat(self) -> None:
        with contextlib.suppress(StepUpError):
            await self._client.run(
                scripts.BEAT_REVOCATIONS,
                [keys.revocations(), keys.revocation_number()],
                [epoch_ms(self._clock.now()), span_ms(HEARTBEAT), span_ms(keys.FEED_KEPT)],
            )

    @override
    async def listen(self) -> AsyncIterator[Revocation | None]:
        async with contextlib.aclosing(self._listener.entries()) as entries:
            async for heard in entries:
                yield _read(heard.values)

    async def _end(self) -> FeedPlace:
        # What is published after this is read later, from here on.
        reply = await self._client.spend(
            scripts.READ_REVOCATIONS,
            [keys.revocations(), keys.revocation_number()],
            [_BEYOND, 1],
            same_attempt=True,
        )
        _, newest, last, *_ = reply.values
        return FeedPlace(last[0].decode() if last else _NOTHING, int(newest))


def _fields(values: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _read(fields: Mapping[bytes, Any]) -> Revocation | None:
    text = fields.get(b"revocation")
    return None if text is None else _decoded(text)


def _decoded(text: bytes) -> Revocation | None:
    # What a newer release revokes in a way that we do not know stops nobody; its marks count.
    try:
        return _revocation.decode(text)
    except ValueError:
        return None
