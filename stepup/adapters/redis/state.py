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
from stepup.adapters.redis.cluster import ClusterTopology
from stepup.adapters.redis.cluster_url import ClusterUrl
from stepup.adapters.redis.credentials import RedisCredentialCache
from stepup.adapters.redis.decisions import RedisDecisionLog
from stepup.adapters.redis.endpoint import Endpoint, OneNode
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import SentinelFence
from stepup.adapters.redis.generations import RedisGenerations
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.outbox import RedisOutbox
from stepup.adapters.redis.recovery_codes import RedisRecoveryCodeStore
from stepup.adapters.redis.refreshes import RedisRefreshStore
from stepup.adapters.redis.replays import RedisReplayStore
from stepup.adapters.redis.revocations import RedisRevocationFeed
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.server_settings import Inspection, inspect
from stepup.adapters.redis.sessions import RedisSessionStore
from stepup.adapters.redis.shadow import RedisShadowLog
from stepup.adapters.redis.shard import OneShard, Topology
from stepup.adapters.redis.snapshots import RedisSnapshotStore
from stepup.adapters.redis.statuses import RedisStatusStore
from stepup.adapters.redis.steps import RedisStepStore
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.adapters.system import SystemEntropy
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Clock, GenerationRecord, State

_log = structlog.get_logger()


class RedisState:
    """The stores over one client; usable inside `async with`.

    It connects by itself, so an instance can start while Redis is away. `replicas` is how many
    must hold a spend before it counts; by default one behind Sentinels, none for a single node.
    `all_replicas` is how many there are; by default one fewer than Sentinels, since each host has
    a server and a Sentinel. In a Cluster both are as many as the shard has, at least.
    Settings of the servers that contradict our promises are refused, or only warned of.

    Raises:
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
        self._name = f"stepup/{stepup.__version__}"
        self.client = RedisClient(_topology(url, self._name, replicas, all_replicas))
        self._refuse_unsafe = refuse_unsafe
        self._inspection: Inspection | None = None
        self._warned: set[str] = set()
        self._looks_after_generations = True
        self._generations = generations = RedisGenerations(self.client, clock, SystemEntropy())
        self._challenges = RedisChallengeStore(self.client, sealer, clock)
        self._refreshes = RedisRefreshStore(self.client, clock)
        self.stores = State(
            challenges=self._challenges,
            steps=RedisStepStore(self.client, generations),
            recovery_codes=RedisRecoveryCodeStore(self.client),
            attempts=RedisAttemptStore(self.client, generations),
            tokens=RedisTokenStore(self.client),
            refreshes=self._refreshes,
            replays=RedisReplayStore(self.client, clock, generations),
            accounts=RedisAccountStore(self.client, sealer, clock),
            sessions=RedisSessionStore(self.client, sealer, clock),
            outbox=RedisOutbox(self.client),
            decisions=RedisDecisionLog(self.client),
            shadow=RedisShadowLog(self.client, clock),
            changes=RedisChanges(self.client, self._listener("changes", keys.changes())),
            revocations=RedisRevocationFeed(
                self.client, self._listener("revocations", keys.revocations()), clock
            ),
            statuses=RedisStatusStore(self.client, clock),
            snapshots=RedisSnapshotStore(self.client, sealer),
            credentials=RedisCredentialCache(self.client, sealer, clock),
            generations=generations,
        )

    def remembered_in(self, record: GenerationRecord) -> Self:
        """Let somebody outside of Redis know that there was a state.

        Without that an empty server is a first start to an instance that has seen no other.
        """
        self._generations.record = record
        return self

    def for_operator(self) -> Self:
        """Leave the generation of the state to the instances: commands only look or announce.

        A command that is run before the first start must not begin one, nor raise a floor. What
        needs the generation is refused.
        """
        self._looks_after_generations = False
        return self

    def _listener(self, name: str, stream: str) -> StreamListener:
        return StreamListener(self.client.resolver(stream), f"{self._name}-{name}", stream)

    async def check(self) -> None:
        """Return when Redis answers and may be used; for readiness.

        Raises:
            DependencyUnavailableError: If it does not, or if its settings contradict our promises
                and that is refused.
        """
        await self.client.check()
        seen = self._inspection
        if seen is None or seen.passing or not seen.is_complete:
            seen = self._inspection = await self.inspect()
            self._warn(seen)
        # A shard without its replicas must not keep the instance from the others.
        found = seen.contradictions + ([] if seen.spends_somewhere else seen.passing)
        if found and self._refuse_unsafe:
            raise DependencyUnavailableError("; ".join(found))

    async def inspect(self) -> Inspection:
        """Say what contradicts our promises in the settings of the servers.

        Raises:
            DependencyUnavailableError: If none of them answers.
        """
        return await inspect(self.client)

    def _warn(self, seen: Inspection) -> None:
        # The same line every second would hide the others.
        told = [*seen.contradictions, *seen.passing, *(seen.advice if self._refuse_unsafe else ())]
        for text in told:
            if text not in self._warned:
                self._warned.add(text)
                _log.warning("unsafe_redis", finding=text, refused=self._refuse_unsafe)

    async def __aenter__(self) -> Self:
        self.client.start()
        if self._looks_after_generations:
            self._generations.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._challenges.close()
        await self._refreshes.close()
        await self._generations.close()
        await self.client.close()


def _topology(url: str, name: str, replicas: int | None, all_replicas: int | None) -> Topology:
    if ClusterUrl.is_meant_by(url):
        return ClusterTopology(ClusterUrl.parse(url), name, replicas, all_replicas)
    if not SentinelUrl.is_meant_by(url):
        least, everyone = replicas or 0, all_replicas or 0
        node = OneNode(Endpoint.parse(url))
        return OneShard(node, name=name, replicas=least, all_replicas=everyone)
    resolver = SentinelResolver(SentinelUrl.parse(url), name)
    return OneShard(
        resolver,
        name=name,
        replicas=1 if replicas is None else replicas,
        all_replicas=len(resolver.sentinels) - 1 if all_replicas is None else all_replicas,
        fence=SentinelFence(resolver.sentinels),
    )
