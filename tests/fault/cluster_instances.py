"""Instances over a Cluster, and the control arms in which the acknowledgement is off."""

import os
from collections.abc import Sequence

from typing_extensions import override

from stepup.adapters.redis.challenges import RedisChallengeStore
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.cluster import ClusterTopology
from stepup.adapters.redis.cluster_map import Member
from stepup.adapters.redis.cluster_url import ClusterUrl
from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.shard import Replicas
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.adapters.system import SystemClock
from stepup.crypto.sealing import Sealer
from tests.fault.history import History
from tests.fault.instances import Instance


class ClusterInstance(Instance):
    """One instance over a Cluster; pinned it stands for one that learns of a failover late."""

    def __init__(
        self,
        url: str,
        name: str,
        history: History,
        *,
        pinned: bool = False,
        acknowledged: bool = True,
    ) -> None:
        self.name = name
        self._history = history
        topology = _Topology(url, name, pinned=pinned, acknowledged=acknowledged)
        self.client = RedisClient(topology)
        sealer = Sealer({1: bytes(32)}, os.urandom)
        self.challenges = RedisChallengeStore(self.client, sealer, SystemClock())
        self.tokens = RedisTokenStore(self.client)


class _Topology(ClusterTopology):
    """A topology that may keep its first map for ever, and may ask no replica."""

    def __init__(self, url: str, name: str, *, pinned: bool, acknowledged: bool) -> None:
        super().__init__(ClusterUrl.parse(url), name, None)
        self._pinned = pinned
        self._acknowledged = acknowledged

    @override
    def required(self, address: Address) -> Replicas:
        return super().required(address) if self._acknowledged else Replicas(0, 0)

    @override
    def _learn(self, views: Sequence[Sequence[Member]]) -> None:
        if not (self._pinned and self._known.is_set()):
            super()._learn(views)
