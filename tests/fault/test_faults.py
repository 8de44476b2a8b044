"""The fault suite, short: what is promised holds, and each control arm shows that we would see it."""

import os
from collections.abc import Iterable, Iterator

import pytest
from _pytest.mark import ParameterSet

from tests.fault.campaign import run
from tests.fault.faults import FAULTS
from tests.fault.instances import Protection
from tests.support.redis_cluster import RedisCluster, running_cluster

pytestmark = [pytest.mark.redis, pytest.mark.fault]

# Those that stop no server need no quiet machine; the rest is `make test-long`, since a failover on
# a loaded one is measured in somebody else's time (docs/reliability.md, the open finding).
QUICK = frozenset({"F1", "F12"})


def rows(names: Iterable[str]) -> list[ParameterSet]:
    """Mark the rows that take a quiet machine."""
    return [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in names]


SEED = int(os.environ.get("STEPUP_TEST_SEED", "7"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("name", rows(FAULTS))
async def test_what_is_promised_holds(cluster, name):
    report = await run(cluster, name, Protection.FULL, FAULTS[name].short, SEED)
    assert report.violations == {}, report
    assert report.granted or name == "F12"


@pytest.mark.parametrize("name", rows(name for name, row in FAULTS.items() if row.control))
async def test_without_the_protection_codes_are_redeemed_twice(cluster, name):
    control = FAULTS[name].control
    reports = []
    # A trap does not always snap: one trial in three is enough to know that we would see it.
    for n in range(3):
        reports.append(await run(cluster, name, control, 1, SEED + n))
        if reports[-1].violations.get("S1"):
            return
    pytest.fail(f"blind: {reports}")
