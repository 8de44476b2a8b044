"""What every test may ask for: engines, a clock and chance."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.determinism import CountingEntropy, StillClock
from tests.support.engines import fresh_database, running_postgres, running_redis

# On a busy machine an example may take long; that is no finding.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty database of this run, as a SQLAlchemy URL."""
    with running_postgres() as server_url, fresh_database(server_url) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this run, as a redis-py URL; empty unless STEPUP_TEST_REDIS names a used one."""
    with running_redis() as url:
        yield url


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def entropy() -> CountingEntropy:
    return CountingEntropy()
