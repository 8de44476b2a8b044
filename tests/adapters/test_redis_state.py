"""The state in Redis keeps every promise of the ports, seen through two clients."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stepup.adapters.redis import keys
from stepup.adapters.redis.endpoint import Endpoint, connect
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.ports import State
from tests.contracts.accounts import AccountStoreContract
from tests.contracts.challenges import ChallengeStoreContract
from tests.contracts.codes import CodeContract
from tests.contracts.decisions import DecisionLogContract
from tests.contracts.generations import GenerationsContract
from tests.contracts.refreshes import RefreshStoreContract
from tests.contracts.revocations import RevocationFeedContract
from tests.contracts.sessions import SessionStoreContract
from tests.contracts.shadow import ShadowLogContract
from tests.contracts.snapshots import CredentialCacheContract, SnapshotStoreContract
from tests.contracts.spending import (
    AttemptStoreContract,
    RecoveryCodeStoreContract,
    ReplayStoreContract,
    StepStoreContract,
    TokenStoreContract,
)
from tests.contracts.statuses import StatusStoreContract
from tests.contracts.streams import ChangesContract, OutboxContract
from tests.support.determinism import CountingEntropy, StillClock

pytestmark = pytest.mark.redis


@pytest.fixture
async def opened(redis_url: str, clock: StillClock) -> AsyncIterator[tuple[RedisState, RedisState]]:
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with (
        RedisState(redis_url, sealer, clock) as one,
        RedisState(redis_url, sealer, clock) as other,
    ):
        yield one, other


@pytest.fixture
def states(opened: tuple[RedisState, RedisState]) -> tuple[State, State]:
    return opened[0].stores, opened[1].stores


class TestChallenges(ChallengeStoreContract):
    pass


class TestCodes(CodeContract):
    pass


class TestRefreshes(RefreshStoreContract):
    pass


class TestSteps(StepStoreContract):
    pass


class TestRecoveryCodes(RecoveryCodeStoreContract):
    pass


class TestAttempts(AttemptStoreContract):
    pass


class TestTokens(TokenStoreContract):
    pass


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


class TestGenerations(GenerationsContract):
    @pytest.fixture(autouse=True)
    async def anew(self, redis_url: str) -> AsyncIterator[None]:
        """A floor is never lowered, and others use this server."""
        await forget_generation(redis_url)
        yield
        await forget_generation(redis_url)


class TestChanges(ChangesContract):
    pass


class TestSnapshots(SnapshotStoreContract):
    @pytest.fixture
    async def states(self, opened: tuple[RedisState, RedisState]) -> tuple[State, State]:
        # There is one for the whole deployment.
        await opened[0].client.call("DEL", keys.snapshot())
        return opened[0].stores, opened[1].stores


class TestCredentials(CredentialCacheContract):
    pass


async def forget_generation(redis_url: str) -> None:
    connection = Endpoint.parse(redis_url).new_connection("test")
    try:
        await connect(connection)
        await connection.send_command("DEL", keys.generation())
        await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


async def test_closing_while_it_connects_does_not_wait_for_ever(redis_url: str, clock: StillClock):
    for moment in range(20):
        async with asyncio.timeout(5):
            state = RedisState(redis_url, Sealer({1: bytes(32)}, CountingEntropy().bytes), clock)
            async with state:
                # redis-py may swallow a cancellation that meets it between two steps.
                await asyncio.sleep(moment * 0.0003)


class TestShadow(ShadowLogContract):
    pass
