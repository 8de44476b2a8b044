"""F3 and F7, which need namespaces of the network: a host is lost, and the set is parted."""

import os
from collections.abc import Iterator

import pytest

from tests.fault.campaign import run
from tests.fault.instances import Protection
from tests.fault.netns.network import NetCluster, running_net_cluster, why_not
from tests.fault.table import FAULTS

ROWS = [name for name, row in FAULTS.items() if row.namespaces]
REASON = why_not()
SEED = int(os.environ.get("STEPUP_TEST_SEED", "7"))
DOWN_AFTER_MS = 2000

pytestmark = [
    pytest.mark.redis,
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[NetCluster]:
    with running_net_cluster(DOWN_AFTER_MS) as cluster:
        yield cluster


@pytest.mark.parametrize("name", ROWS)
async def test_what_is_promised_holds(cluster, name):
    report = await run(cluster, name, Protection.FULL, FAULTS[name].short, SEED)
    assert report.violations == {}, report
    assert report.granted


@pytest.mark.parametrize("name", ROWS)
async def test_without_the_protection_we_would_see_it(cluster, name):
    report = await run(cluster, name, FAULTS[name].control, 2, SEED)
    assert FAULTS[name].sees & set(report.violations), report
