"""F14 and F16, short: the whole service over HTTP while PostgreSQL or Redis is away."""

from collections.abc import Iterator

import pytest

from tests.e2e.api import Api
from tests.e2e.cluster import Cluster, running_cluster
from tests.fault.checker import check
from tests.fault.service import announcements, postgres_away

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis, pytest.mark.fault]

_AWAY = 4.0
_ACTIVATIONS = ("nothing", "redis restarted", "gap in the feed")
_REVOCATIONS = ("postgres killed", "redis restarted", "gap in the feed", "reader paused")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(cluster: Cluster) -> Iterator[list[str]]:
    """One for each revocation, made before Redis loses anything: then codes must wait."""
    api = Api(cluster.one)
    yield [api.elevated() for _ in (*_REVOCATIONS, "control")]
    api.close()


@pytest.mark.parametrize("fault", postgres_away.FAULTS)
def test_f14_postgres_is_away_and_nobody_notices(cluster: Cluster, fault: str):
    history, safe, figures = postgres_away.f14(cluster, fault, _AWAY)
    assert check(history, safe, nothing_lost=False) == {}, history.lines()
    assert figures["redeem_during_granted"] == 1.0, history.lines()
    assert figures["introspect_during_granted"] >= 0.999, history.lines()


def test_f14_without_the_outbox_grants_would_have_no_row(cluster: Cluster):
    history, safe, _ = postgres_away.f14(cluster, "killed", 1.0, forget=True)
    assert "S8" in check(history, safe, nothing_lost=False)


@pytest.mark.parametrize("fault", _REVOCATIONS)
def test_f16_a_revoked_token_is_dead_everywhere_in_five_seconds(
    cluster: Cluster, tokens: list[str], fault: str
):
    history = announcements.f16_revocation(cluster, fault, tokens[_REVOCATIONS.index(fault)])
    assert history.of("introspect"), "nobody asked"
    assert check(history, set(), nothing_lost=False) == {}, history.lines()


@pytest.mark.parametrize("fault", _ACTIVATIONS)
def test_f16_a_policy_is_in_force_everywhere_in_two_seconds(cluster: Cluster, fault: str):
    version = 10 + _ACTIVATIONS.index(fault)
    history = announcements.f16_activation(cluster, fault, version)
    assert history.of("activate")[0].outcome == "granted", history.lines()
    assert check(history, set(), nothing_lost=False) == {}, history.lines()
