"""Identifiers that may be seen once."""

from datetime import datetime, timedelta

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.times import span_ms
from stepup.domain.generation import is_below
from stepup.domain.ids import AttemptId
from stepup.ports import Clock, ReplayStore

# Clocks of instances may differ by this much before they take themselves out of service.
SKEW = timedelta(seconds=60)


class RedisReplayStore(ReplayStore):
    """One hash per identifier."""

    def __init__(self, client: RedisClient, clock: Clock, generations: RedisGenerations) -> None:
        self._client = client
        self._clock = clock
        self._generations = generations

    @override
    async def remember(
        self,
        scope: str,
        identifier: str,
        attempt: AttemptId,
        until: datetime,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        kept = max(until - self._clock.now(), timedelta()) + SKEW
        reply = await self._client.spend(
            scripts.REMEMBER_JTI,
            [keys.replay(scope, identifier)],
            [attempt, span_ms(kept)],
            same_attempt=True,
        )
        if reply.status != "ok":
            return False
        if possible_since is None:
            return True
        return not is_below(await self._generations.floor_under(reply.history), possible_since)
