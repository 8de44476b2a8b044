"""All of the state in Redis, opened and closed as one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    """The stores, and the client under them."""

    def __init__(self, client: RedisClient, state: State) -> None:
        self.client = client
        self.state = state

    async def check(self) -> None:
        """Return when Redis answers; for readiness.

        Raises:
            DependencyUnavailableError: If it does not.
        """
        await self.client.check()


@asynccontextmanager
async def open_state(
    url: str, sealer: Sealer, clock: Clock, replicas: int = 0
) -> AsyncIterator[RedisState]:
    """Open the state; it connects by itself, so an instance can start while Redis is away.

    `replicas` is how many must hold a spend before it counts; 0 for a single node.

    Raises:
        NotSupportedYetError: If the URL means Sentinel or Cluster.
        ValueError: If it is no Redis URL.
    """
    resolver = OneNode(Endpoint.parse(url))
    name = f"stepup/{stepup.__version__}"
    client = RedisClient(resolver, name=name, replicas=replicas)
    state = State(
        challenges=RedisChallengeStore(client, sealer, clock),
        steps=RedisStepStore(client),
        attempts=RedisAttemptStore(client),
        tokens=RedisTokenStore(client, clock),
        replays=RedisReplayStore(client, clock),
        accounts=RedisAccountStore(client, sealer, clock),
        outbox=RedisOutbox(client),
        changes=RedisChanges(client, resolver, f"{name}-changes"),
    )
    try:
        yield RedisState(client, state)
    finally:
        await client.close()
