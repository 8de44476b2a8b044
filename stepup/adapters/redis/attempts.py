"""How often a subject may try a method: GCRA, which needs one number per bucket."""

from datetime import datetime, timedelta
from typing import NamedTuple

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.second_home import SecondHome
from stepup.adapters.redis.times import epoch_ms, span_ms
from stepup.domain.assurance import Method
from stepup.domain.challenge import METHOD_PAUSE, TRIES_PER_METHOD
from stepup.domain.errors import TooManyAttemptsError
from stepup.domain.ids import SubjectId
from stepup.ports import AttemptStore

_INTERVAL_MS = span_ms(METHOD_PAUSE / TRIES_PER_METHOD)


class _Failing(NamedTuple):
    """A bucket as it was left, and the floor of that time."""

    tat_ms: int
    floor_at: datetime | None


class RedisAttemptStore(AttemptStore):
    """A full bucket holds as many attempts as a challenge, and refills over the pause."""

    def __init__(self, client: RedisClient, generations: RedisGenerations) -> None:
        self._client = client
        self._generations = generations
        self._failing: SecondHome[tuple[SubjectId, Method], _Failing] = SecondHome()

    @override
    async def spend(self, subject_id: SubjectId, method: Method, now: datetime) -> None:
        who, now_ms = (subject_id, method), epoch_ms(now)
        while True:
            assumed = self._generations.floor_at
            # A repetition would spend a second attempt: harmless, but not fair, so there is none.
            reply = await self._client.spend(
                scripts.SPEND_ATTEMPT,
                [keys.attempts(subject_id, method)],
                [now_ms, _INTERVAL_MS, TRIES_PER_METHOD, self._least(who, now_ms, assumed)],
            )
            if reply.status != "ok":
                raise TooManyAttemptsError(retry_after=timedelta(milliseconds=reply.values[0]))
            floor_at = await self._generations.floor_under(reply.history)
            # If the bucket was lost while we asked for it, this one was given from an empty list.
            if floor_at == assumed or self._failing.get(who) is None:
                break
        self._failing.put(who, _Failing(reply.values[0], floor_at))

    @override
    async def forgive(self, subject_id: SubjectId, method: Method) -> None:
        self._failing.drop((subject_id, method))
        await self._client.run(scripts.FORGIVE_ATTEMPTS, [keys.attempts(subject_id, method)])

    def _least(self, who: tuple[SubjectId, Method], now_ms: int, floor_at: datetime | None) -> int:
        """Return what the bucket must hold by our own memory, after a change of generation.

        We know our own attempts only, and not who was forgiven by another instance: so a single
        one is left to whoever failed here.
        """
        failing = self._failing.get(who)
        if failing is None or failing.tat_ms <= now_ms or failing.floor_at == floor_at:
            return 0
        return max(failing.tat_ms, now_ms + (TRIES_PER_METHOD - 1) * _INTERVAL_MS)
