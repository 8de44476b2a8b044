"""How old a copy may be, one second either side of each limit."""

from datetime import timedelta

import pytest

from stepup.domain.freshness import FRESH_FOR, Freshness, age_of, freshness_of
from tests.support.determinism import NOON

DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("age", "usable_for", "expected"),
    [
        pytest.param(timedelta(0), DAY, Freshness.FRESH, id="just confirmed"),
        pytest.param(FRESH_FOR, DAY, Freshness.FRESH, id="the last fresh moment"),
        pytest.param(FRESH_FOR + SECOND, DAY, Freshness.STALE, id="stale, and it says so"),
        pytest.param(DAY, DAY, Freshness.STALE, id="the last usable moment"),
        pytest.param(DAY + SECOND, DAY, Freshness.UNUSABLE, id="refused"),
        pytest.param(FRESH_FOR + SECOND, FRESH_FOR, Freshness.UNUSABLE, id="must be live"),
        pytest.param(-SECOND, DAY, Freshness.FRESH, id="confirmed by a clock ahead of ours"),
    ],
)
def test_a_copy_is_fresh_then_stale_then_of_no_use(age, usable_for, expected):
    assert freshness_of(NOON - age, NOON, usable_for) is expected


def test_a_clock_ahead_of_ours_makes_nothing_younger():
    assert age_of(NOON + DAY, NOON) == timedelta(0)
