"""The state in a Cluster keeps every promise of the ports, seen through two clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from stepup.adapters.redis import keys
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import State
from tests.contracts.accounts import AccountStoreContract
from tests.contracts.challenges import ChallengeStoreContract
from tests.contracts.codes import CodeContract
from tests.contracts.decisions import DecisionLogContract
from tests.contracts.refreshes import RefreshStoreContract
from tests.contracts.revocations import RevocationFeedContract
from tests.contracts.sessions import SessionStoreContract
from tests.contracts.spending import (
    AttemptStoreContract,
    ReplayStoreContract,
    StepStoreContract,
    TokenStoreContract,
)
from tests.contracts.statuses import StatusStoreContract
from tests.contracts.streams import ChangesContract, OutboxContract
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.valkey_cluster import ValkeyCluster, running_valkey_cluster

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with running_valkey_cluster() as cluster:
        yield cluster


@pytest.fixture
async def opened(
    cluster: ValkeyCluster, clock: StillClock
) -> AsyncIterator[tuple[RedisState, RedisState]]:
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with (
        RedisState(cluster.url, sealer, clock) as one,
        RedisState(cluster.url, sealer, clock) as other,
    ):
        await one.client.check()
        await other.client.check()
        yield one, other
        await empty(one)


async def empty(state: RedisState) -> None:
    """Leave nothing behind: identifiers in tests repeat, and the Cluster is kept."""
    for shard in state.client.shards():
        await state.client.call_at(shard, "FLUSHALL")


@pytest.fixture
def states(opened: tuple[RedisState, RedisState]) -> tuple[State, State]:
    return opened[0].stores, opened[1].stores


class TestChallenges(ChallengeStoreContract):
    pass


class TestCodes(CodeContract):
    replicated = True


class TestRefreshes(RefreshStoreContract):
    replicated = True


class TestSteps(StepStoreContract):
    pass


class TestAttempts(AttemptStoreContract):
    pass


class TestTokens(TokenStoreContract):
    replicated = True


class TestRevocations(RevocationFeedContract):
    pass


class TestReplays(ReplayStoreContract):
    pass


class TestAccounts(AccountStoreContract):
    pass


class TestSessions(SessionStoreContract):
    pass


class TestStatuses(StatusStoreContract):
    pass


class TestOutbox(OutboxContract):
    pass


class TestDecisions(DecisionLogContract):
    pass


class TestChanges(ChangesContract):
    pass


async def test_the_streams_lie_in_different_shards(opened):
    """Else the contracts above would not show that each is found where it is."""
    client = opened[0].client
    streams = (keys.outbox(), keys.changes(), keys.revocations())
    found = {(await client.resolver(key).primary()).address for key in streams}
    assert len(found) > 1


async def test_the_first_start_loses_nothing(cluster, clock):
    """Every shard has a history of its own; none of them is news to the first instance."""
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    for _ in range(3):
        async with RedisState(cluster.url, sealer, clock) as state:
            async with asyncio.timeout(5):
                while True:
                    with contextlib.suppress(DependencyUnavailableError):
                        generation = await state.stores.generations.current()
                        break
                    await asyncio.sleep(0.01)
            await asyncio.sleep(1.1)
            assert (await state.stores.generations.current()).floor_at is None
            assert len(generation.histories) == 3
            await empty(state)
