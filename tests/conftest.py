"""What every test may ask for: engines, a clock and chance."""

from collections.abc import Iterator

import pytest

from tests.support.determinism import CountingEntropy, StillClock
from tests.support.engines import fresh_database, running_postgres, running_redis


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
