"""Which recovery codes were used."""

import asyncio
from collections.abc import Iterable

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import span_ms
from stepup.domain.ids import AttemptId, AuthenticatorId, SubjectId
from stepup.ports import RecoveryCodeStore

# No attempt is called this, so nobody can have a void code.
_NOBODY = ""


class RedisRecoveryCodeStore(RecoveryCodeStore):
    """One mark per used code."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    @override
    async def spend(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digest: bytes,
        attempt: AttemptId,
    ) -> bool:
        return await self._spend(
            keys.recovery_code(subject_id, authenticator_id, code_digest), attempt
        )

    @override
    async def void(
        self,
        subject_id: SubjectId,
        authenticator_id: AuthenticatorId,
        code_digests: Iterable[bytes],
    ) -> None:
        marks = [keys.recovery_code(subject_id, authenticator_id, each) for each in code_digests]
        # All of them leave in one round.
        await asyncio.gather(*(self._spend(mark, _NOBODY) for mark in marks))

    async def _spend(self, mark: str, by: str) -> bool:
        reply = await self._client.spend(
            scripts.SPEND_RECOVERY_CODE,
            [mark],
            [by, span_ms(keys.RECOVERY_CODE_KEPT)],
            same_attempt=True,
        )
        return reply.status == "ok"
