"""How often a subject may try a method: GCRA, which needs one number per bucket."""

from datetime import datetime, timedelta

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import epoch_ms, span_ms
from stepup.domain.assurance import Method
from stepup.domain.challenge import METHOD_PAUSE, TRIES_PER_METHOD
from stepup.domain.errors import TooManyAttemptsError
from stepup.domain.ids import SubjectId
from stepup.ports import AttemptStore


class RedisAttemptStore(AttemptStore):
    """A full bucket holds as many attempts as a challenge, and refills over the pause."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    @override
    async def spend(self, subject_id: SubjectId, method: Method, now: datetime) -> None:
        # A repetition would spend a second attempt: harmless, but not fair, so there is none.
        reply = await self._client.spend(
            scripts.SPEND_ATTEMPT,
            [keys.attempts(subject_id, method)],
            [epoch_ms(now), span_ms(METHOD_PAUSE / TRIES_PER_METHOD), TRIES_PER_METHOD],
        )
        if reply.status != "ok":
            raise TooManyAttemptsError(retry_after=timedelta(milliseconds=reply.values[0]))

    @override
    async def forgive(self, subject_id: SubjectId, method: Method) -> None:
        await self._client.run(scripts.FORGIVE_ATTEMPTS, [keys.attempts(subject_id, method)])
