"""The refresh store: one hash for each ceremony, beside its challenge."""

from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.releases import Releases
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.domain.errors import InvalidGrantError
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.domain.refresh import RefreshGrant
from stepup.ports import Clock, CurrentRefresh, RefreshReusedError, RefreshStore, Rotation

_json = msgspec.json.Encoder()
_grant = msgspec.json.Decoder(RefreshGrant)


class RedisRefreshStore(RefreshStore):
    """What is given lies there as JSON, as the challenge's own does; it holds no secret."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._releases = Releases(client, clock)

    @override
    async def open(self, grant: RefreshGrant) -> None:
        left = max(grant.expires_at - self._clock.now(), keys.TOMBSTONE)
        await self._client.spend(
            scripts.OPEN_REFRESH,
            [keys.refresh(grant.challenge_id)],
            [_json.encode(grant), epoch_ms(grant.expires_at), span_ms(left + keys.TOMBSTONE)],
            same_attempt=True,
        )

    @override
    async def find(self, challenge_id: ChallengeId) -> RefreshGrant | None:
        held = await self._held(challenge_id)
        return _grant.decode(held[b"grant"]) if held else None

    @override
    async def current(self, challenge_id: ChallengeId) -> CurrentRefresh | None:
        held = await self._held(challenge_id)
        if not held or b"ended" in held:
            return None
        return CurrentRefresh(_grant.decode(held[b"grant"]), int(held[b"n"]))

    @override
    async def rotate(
        self,
        challenge_id: ChallengeId,
        count: int,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> Rotation:
        reply = await self._client.spend(
            scripts.ROTATE_REFRESH,
            [keys.refresh(challenge_id)],
            [epoch_ms(now), attempt, count],
            same_attempt=True,
            everywhere=everywhere,
        )
        if reply.status == "dup":
            raise RefreshReusedError
        if reply.status != "ok":
            raise InvalidGrantError
        used_at, again = reply.values
        return Rotation(used_at=from_epoch_ms(used_at), repeated=again == 1)

    @override
    async def release(
        self, challenge_id: ChallengeId, count: int, attempt: AttemptId, until: datetime
    ) -> None:
        self._releases.begin(
            scripts.RELEASE_REFRESH, [keys.refresh(challenge_id)], [attempt, count], until
        )

    async def _held(self, challenge_id: ChallengeId) -> dict[bytes, bytes]:
        reply = await self._client.run(scripts.READ_HASH, [keys.refresh(challenge_id)])
        if reply.status != "ok":
            return {}
        return dict(zip(reply.values[::2], reply.values[1::2], strict=True))

    async def close(self) -> None:
        """End what goes on behind requests."""
        await self._releases.close()
