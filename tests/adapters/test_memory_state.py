"""The state in memory keeps every promise of the ports."""

import pytest

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
from tests.support.determinism import StillClock
from tests.support.memory import memory_state


@pytest.fixture
def states(clock: StillClock) -> tuple[State, State]:
    state = memory_state(clock)
    return state, state


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
    pass


class TestChanges(ChangesContract):
    pass


class TestSnapshots(SnapshotStoreContract):
    pass


class TestCredentials(CredentialCacheContract):
    pass


class TestShadow(ShadowLogContract):
    pass
