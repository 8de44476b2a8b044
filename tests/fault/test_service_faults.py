"""F14 to F16, short: the whole service over HTTP while PostgreSQL or Redis is away."""

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, running_cluster
from tests.fault.checker import check
from tests.fault.service import postgres_away

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis, pytest.mark.fault]

_AWAY = 6.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.parametrize("fault", postgres_away.FAULTS)
def test_f14_postgres_is_away_and_nobody_notices(cluster: Cluster, fault: str):
    history, safe, figures = postgres_away.f14(cluster, fault, _AWAY)
    assert check(history, safe, nothing_lost=False) == {}, history.lines()
    assert figures["redeem_during_granted"] == 1.0, history.lines()
    assert figures["introspect_during_granted"] >= 0.999, history.lines()


def test_f14_without_the_outbox_grants_would_have_no_row(cluster: Cluster):
    history, safe, _ = postgres_away.f14(cluster, "killed", 1.0, forget=True)
    assert "S8" in check(history, safe, nothing_lost=False)
