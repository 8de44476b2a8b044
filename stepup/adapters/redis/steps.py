"""The last accepted step of each authenticator."""

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import span_ms
from stepup.domain.ids import AttemptId, AuthenticatorId, SubjectId
from stepup.ports import StepStore

# More than any time step or signature count, and exact in Lua's numbers.
_NO_STEP_IS_LARGER = 2**53 - 1


class RedisStepStore(StepStore):
    """One hash per authenticator."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    @override
    async def accept(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        step: int,
        attempt: AttemptId | None = None,
    ) -> bool:
        reply = await self._client.spend(
            scripts.ACCEPT_STEP,
            [keys.step(subject_id, authenticator_id)],
            [step, attempt or "", span_ms(keys.STEP_KEPT)],
            same_attempt=bool(attempt),
        )
        return reply.status == "ok"

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
