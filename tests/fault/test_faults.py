"""The fault suite, short: what is promised holds, and each control arm shows that we would see it."""

import os
from collections.abc import Iterator

import pytest

from tests.fault.campaign import run
from tests.fault.instances import Protection
from tests.fault.table import FAULTS
from tests.support.redis_cluster import RedisCluster, running_cluster

pytestmark = [pytest.mark.redis, pytest.mark.fault]

# A trap of chance: it snaps in every third trial, and F5 sets the same one for certain.
RARE = frozenset({"F4"})
# As on a site: with less, a busy machine has failovers that nobody asked for.
DOWN_AFTER_MS = 2000


CONTROLLED = [
    pytest.param(name, marks=pytest.mark.long if name in RARE else ())
    for name, row in FAULTS.items()
    if row.control and not row.namespaces
]
SEED = int(os.environ.get("STEPUP_TEST_SEED", "7"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_cluster(down_after_ms=DOWN_AFTER_MS) as cluster:
        yield cluster


@pytest.mark.parametrize("name", [name for name, row in FAULTS.items() if not row.namespaces])
async def test_what_is_promised_holds(cluster, name):
    report = await run(cluster, name, Protection.FULL, FAULTS[name].short, SEED)
    assert report.violations == {}, report
    assert report.granted or name == "F12"


@pytest.mark.parametrize("name", CONTROLLED)
async def test_without_the_protection_we_would_see_it(cluster, name):
    control = FAULTS[name].control
    reports = []
    # A trap does not always snap: one trial in three is enough to know that we would see it.
    for n in range(3):
        reports.append(await run(cluster, name, control, 1, SEED + n))
        if FAULTS[name].sees & set(reports[-1].violations):
            return
    pytest.fail(f"blind: {reports}")
