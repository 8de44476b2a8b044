"""All of the state in Redis, opened and closed as one."""

from typing import Self

import stepup
from stepup.adapters.redis.accounts import RedisAccountStore
from stepup.adapters.redis.attempts import RedisAttemptStore
from stepup.adapters.redis.challenges import RedisChallengeStore
from stepup.adapters.redis.changes import RedisChanges
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Endpoint, OneNode
from stepup.adapters.redis.outbox import RedisOutbox
from stepup.adapters.redis.replays import RedisReplayStore
from stepup.adapters.redis.steps import RedisStepStore
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.crypto.sealing import Sealer
from stepup.ports import Clock, State


class RedisState:
    """The stores over one client; usable inside `async with`.

    It connects by itself, so an instance can start while Redis is away. `replicas` is how many
    must hold a spend before it counts; 0 for a single node.

    Raises:
        NotSupportedYetError: If the URL means Sentinel or Cluster.
        ValueError: If it is no Redis URL.
    """

    def __init__(self, url: str, sealer: Sealer, clock: Clock, replicas: int = 0) -> None:
        resolver = OneNode(Endpoint.parse(url))
        name = f"stepup/{stepup.__version__}"
        self.client = RedisClient(resolver, name=name, replicas=replicas)
        self.stores = State(
            challenges=RedisChallengeStore(self.client, sealer, clock),
            steps=RedisStepStore(self.client),
            attempts=RedisAttemptStore(self.client),
            tokens=RedisTokenStore(self.client, clock),
            replays=RedisReplayStore(self.client, clock),
            accounts=RedisAccountStore(self.client, sealer, clock),
            outbox=RedisOutbox(self.client),
            changes=RedisChanges(self.client, resolver, f"{name}-changes"),
        )

    async def check(self) -> None:
        """Return when Redis answers; for readiness.

        Raises:
            DependencyUnavailableError: If it does not.
        """
        await self.client.check()

    async def __aenter__(self) -> Self:
        self.client.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.client.close()
