"""What ends an elevated token before its time."""

from datetime import datetime

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms
from stepup.domain.errors import TokenAlreadyConsumedError, TokenNotConsumableError
from stepup.domain.ids import AttemptId, ChallengeId, TokenId
from stepup.domain.revocation import Revoked
from stepup.ports import TokenStore, UnknownTokenError


class RedisTokenStore(TokenStore):
    """Once-only records live beside their challenge, revocations in a slot of their own."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    @override
    async def consume(
        self,
        challenge_id: ChallengeId,
        token_id: TokenId,
        attempt: AttemptId,
        now: datetime,
        *,
        everywhere: bool = False,
    ) -> datetime:
        # The mark lies in another slot, so it cannot be read in the same script.
        if await self.is_revoked(token_id):
            raise TokenNotConsumableError
        reply = await self._client.spend(
            scripts.CONSUME_TOKEN,
            [keys.once(challenge_id)],
            [epoch_ms(now), attempt, token_id],
            same_attempt=True,
            everywhere=everywhere,
        )
        if reply.status == "dup":
            raise TokenAlreadyConsumedError(from_epoch_ms(reply.values[0]))
        if reply.status != "ok":
            raise UnknownTokenError
        return from_epoch_ms(reply.values[0])

    @override
    async def is_revoked(self, token_id: TokenId) -> bool:
        reply = await self._client.run(scripts.READ_HASH, [keys.revoked(Revoked.TOKEN, token_id)])
        return reply.status == "ok"

    @override
    async def is_usable(self, challenge_id: ChallengeId) -> bool:
        once = await self._client.run(scripts.READ_HASH, [keys.once(challenge_id)])
        return once.status == "ok" and b"by" not in once.values[::2]
