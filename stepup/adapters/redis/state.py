"""All of the state in Redis, opened and closed as one."""

from typing import Self

import structlog

import stepup
from stepup.adapters.redis import keys
from stepup.adapters.redis.accounts import RedisAccountStore
from stepup.adapters.redis.attempts import RedisAttemptStore
from stepup.adapters.redis.challenges import RedisChallengeStore
from stepup.adapters.redis.changes import RedisChanges
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Endpoint, OneNode, Resolver
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import Fence, NoFence, SentinelFence
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.outbox import RedisOutbox
from stepup.adapters.redis.replays import RedisReplayStore
from stepup.adapters.redis.revocations import RedisRevocationFeed
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.server_settings import contradictions
from stepup.adapters.redis.steps import RedisStepStore
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Clock, State

_log = structlog.get_logger()


class RedisState:
    """The stores over one client; usable inside `async with`.

    It connects by itself, so an instance can start while Redis is away. `replicas` is how many
    must hold a spend before it counts; by default one behind Sentinels, none for a single node.
    `all_replicas` is how many there are; by default one fewer than Sentinels, since each host has
    a server and a Sentinel.
    Settings of the server that contradict our promises are refused, or only warned of.

    Raises:
        NotSupportedYetError: If the URL means a Cluster.
        ValueError: If it is no Redis URL.
    """

    def __init__(
        self,
        url: str,
        sealer: Sealer,
        clock: Clock,
        replicas: int | None = None,
        *,
        all_replicas: int | None = None,
        refuse_unsafe: bool = False,
    ) -> None:
        name = f"stepup/{stepup.__version__}"
        resolver, fence = _topology(url, name)
        if replicas is None:
            replicas = int(isinstance(fence, SentinelFence))
        if all_replicas is None:
            all_replicas = max(replicas, _replicas_beside(resolver))
        self.client = RedisClient(
            resolver, name=name, replicas=replicas, all_replicas=all_replicas, fence=fence
        )
        self._replicas = replicas
        self._refuse_unsafe = refuse_unsafe
        self._contradictions: list[str] | None = None
        self.stores = State(
            challenges=RedisChallengeStore(self.client, sealer, clock),
            steps=RedisStepStore(self.client),
            attempts=RedisAttemptStore(self.client),
            tokens=RedisTokenStore(self.client),
            replays=RedisReplayStore(self.client, clock),
            accounts=RedisAccountStore(self.client, sealer, clock),
            outbox=RedisOutbox(self.client),
            changes=RedisChanges(
                self.client, StreamListener(resolver, f"{name}-changes", keys.changes())
            ),
            revocations=RedisRevocationFeed(
                self.client,
                StreamListener(resolver, f"{name}-revocations", keys.revocations()),
                clock,
            ),
        )

    async def check(self) -> None:
        """Return when Redis answers and may be used; for readiness.

        Raises:
            DependencyUnavailableError: If it does not, or if its settings contradict our promises
                and that is refused.
        """
        await self.client.check()
        if self._contradictions is None:
            self._contradictions = await self.contradictions()
            for text in self._contradictions:
                _log.warning("unsafe_redis", finding=text, refused=self._refuse_unsafe)
        if self._contradictions and self._refuse_unsafe:
            raise DependencyUnavailableError("; ".join(self._contradictions))

    async def contradictions(self) -> list[str]:
        """Say which settings of the server contradict our promises.

        Raises:
            DependencyUnavailableError: If it does not answer.
        """
        return await contradictions(self.client, self._replicas)

    async def __aenter__(self) -> Self:
        self.client.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.client.close()


def _replicas_beside(resolver: Resolver) -> int:
    return len(resolver.sentinels) - 1 if isinstance(resolver, SentinelResolver) else 0


def _topology(url: str, name: str) -> tuple[Resolver, Fence]:
    if not SentinelUrl.is_meant_by(url):
        return OneNode(Endpoint.parse(url)), NoFence()
    resolver = SentinelResolver(SentinelUrl.parse(url), name)
    return resolver, SentinelFence(resolver.sentinels)
