"""What every test may ask for: engines, a clock and chance."""

import gc
import os
import warnings
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.determinism import CountingEntropy, StillClock
from tests.support.engines import fresh_database, running_postgres, running_redis

# On a busy machine an example may take long; that is no finding. The short run draws the same
# examples each time, so that it says something about a change; the long one looks for new ones.
hypothesis.settings.register_profile("default", deadline=None, max_examples=20, derandomize=True)
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


# A driver that is cut off in the middle of connecting leaves a socket to the garbage collector,
# which warns of it whenever it comes by, in whatever test that is.
STOPPING_SERVERS = {"adapters", "deploy", "e2e", "fault", "pins"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let only tests beside servers that are stopped leave anything to the collector."""
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if item.path.parent.name in STOPPING_SERVERS:
            item.add_marker(ignored)


@pytest.fixture(scope="module", autouse=True)
def swept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what stopped servers have left, before the next file begins."""
    yield
    if request.path.parent.name in STOPPING_SERVERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
