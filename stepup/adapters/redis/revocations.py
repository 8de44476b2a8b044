"""Revocations in Redis: marks for introspection, and the feed that every instance follows."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.domain.errors import NewerFormatError, StepUpError
from stepup.domain.ids import AuthenticatorId, KeyId, SubjectId
from stepup.domain.revocation import (
    CLOCK_MARGIN,
    Revocation,
    Revoked,
    authenticator_value,
    grounds_of,
)
from stepup.domain.token import ElevatedToken
from stepup.ports import Clock, FeedPage, FeedPlace, RevocationFeed

HEARTBEAT = timedelta(seconds=1)
# Far more than ever comes between two looks; whoever was away for long reads several pages.
PAGE = 500
# Before any entry.
_NOTHING = "0-0"
# After any entry that a server will ever make.
_BEYOND = "18446744073709551614-0"


class _Narrowed(Revocation, frozen=True, kw_only=True, omit_defaults=True):
    """A revocation as it is written: of an authenticator as of its subject, narrowed to it.

    A release that does not know what narrows it ends more than was asked, and never less.
    """

    authenticator: AuthenticatorId | None = None
    authenticator_before: datetime | None = None


_json = msgspec.json.Encoder()
_revocation = msgspec.json.Decoder(_Narrowed)


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
                encoded(revocation),
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
            found += [_decoded(text) for text in members[::2]]
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
                # What cannot be read here is met again by whoever reads on, who stops there.
                with contextlib.suppress(NewerFormatError):
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


def encoded(revocation: Revocation) -> bytes:
    """Return a revocation as every release since the first reads it, or reads more into it."""
    subject_id = revocation.subject_of_authenticator
    if subject_id is None:
        return _json.encode(revocation)
    narrowed = _Narrowed(
        what=Revoked.SUBJECT,
        value=subject_id,
        # What the subject proves later counts there as well.
        before=min(revocation.before, revocation.at + CLOCK_MARGIN),
        until=revocation.until,
        at=revocation.at,
        authenticator=AuthenticatorId(revocation.value.partition("/")[2]),
        authenticator_before=revocation.before,
    )
    return _json.encode(narrowed)


def _decoded(text: bytes) -> Revocation:
    try:
        read = _revocation.decode(text)
    except ValueError:
        # Nobody here can say what it ends: nothing may be said as if it ended nothing.
        raise NewerFormatError from None
    what, value, before = read.what, read.value, read.before
    if read.authenticator is not None:
        what = Revoked.AUTHENTICATOR
        value = authenticator_value(SubjectId(read.value), read.authenticator)
        before = read.authenticator_before or before
    return Revocation(what=what, value=value, before=before, until=read.until, at=read.at)
