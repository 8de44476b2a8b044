"""The last accepted step of each authenticator: in Redis, and as far as it can in the process."""

from datetime import datetime
from typing import NamedTuple

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.second_home import SecondHome
from stepup.adapters.redis.times import span_ms
from stepup.domain.generation import is_below
from stepup.domain.ids import AttemptId, AuthenticatorId, SubjectId
from stepup.ports import StepStore

# More than any time step or signature count, and exact in Lua's numbers.
_NO_STEP_IS_LARGER = 2**53 - 1

_Who = tuple[SubjectId, AuthenticatorId]


class _Accepted(NamedTuple):
    step: int
    by: AttemptId | None


class RedisStepStore(StepStore):
    """One hash per authenticator."""

    def __init__(self, client: RedisClient, generations: RedisGenerations) -> None:
        self._client = client
        self._generations = generations
        self._own: SecondHome[_Who, _Accepted] = SecondHome()

    @override
    async def accept(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        step: int,
        attempt: AttemptId | None = None,
        *,
        possible_since: datetime | None = None,
    ) -> bool:
        who, new = (subject_id, authenticator_id), _Accepted(step, attempt)
        if not self._is_possible(who, new):
            return False
        reply = await self._client.spend(
            scripts.ACCEPT_STEP,
            [keys.step(subject_id, authenticator_id)],
            [step, attempt or "", span_ms(keys.STEP_KEPT)],
            same_attempt=bool(attempt),
        )
        if reply.status != "ok":
            return False
        # A signature count has no time; PostgreSQL remembers it.
        if possible_since is not None:
            floor_at = await self._generations.floor_under(reply.history)
            # What we accepted ourselves before the floor stays accepted for its attempt.
            if is_below(floor_at, possible_since) and self._own.get(who) != new:
                return False
        if not self._is_possible(who, new):
            return False
        self._own.put(who, new)
        return True

    @override
    async def retire(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> None:
        await self._client.spend(
            scripts.RETIRE_AUTHENTICATOR,
            [keys.step(subject_id, authenticator_id)],
            [_NO_STEP_IS_LARGER, span_ms(keys.RETIRED_KEPT)],
            same_attempt=True,
        )

    @override
    async def is_retired(self, subject_id: SubjectId, authenticator_id: AuthenticatorId) -> bool:
        key = keys.step(subject_id, authenticator_id)
        reply = await self._client.run(scripts.READ_HASH, [key])
        return b"retired" in reply.values[::2]

    def _is_possible(self, who: _Who, new: _Accepted) -> bool:
        """Say whether it is new by our own memory, whatever Redis remembers."""
        last = self._own.get(who)
        return last is None or new.step > last.step or (new.by is not None and new == last)
