"""Codes that are given back behind a request that ended without knowing what became of them."""

import asyncio
from contextlib import suppress
from datetime import datetime

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.domain.errors import StepUpError
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.ports import Clock

# More at once is an outage of everything; a code that is not given back stays spent, which is safe.
MOST_AT_ONCE = 1_000
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Releases:
    """Tasks that try until Redis has said what became of the code, or the code has expired."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, challenge_id: ChallengeId, attempt: AttemptId, until: datetime) -> None:
        """Give a code back, now or later; nobody waits for it."""
        if len(self._tasks) < MOST_AT_ONCE:
            task = asyncio.create_task(self._release(challenge_id, attempt, until))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is not given back yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _release(
        self, challenge_id: ChallengeId, attempt: AttemptId, until: datetime
    ) -> None:
        pause = FIRST_PAUSE
        names = [keys.code(challenge_id), keys.challenge(challenge_id), keys.once(challenge_id)]
        while self._clock.now() < until:
            with suppress(StepUpError):
                reply = await self._client.spend(
                    scripts.RELEASE_CODE, names, [attempt], same_attempt=True
                )
                # Unspent is no end: the redemption may still lie before a server that was frozen.
                if reply.status != "unspent":
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
