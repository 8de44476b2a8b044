"""A round waits for all replicas while all keep up, and needs no more than it needs."""

import pytest

from stepup.adapters.redis.in_step import FIRST_PAUSE, LONGEST_PAUSE, InStep


@pytest.mark.parametrize(
    ("needed", "everyone", "wanted"), [(1, 2, 2), (2, 2, 2), (0, 2, 0), (0, 0, 0), (1, 0, 1)]
)
def test_waits_for_everyone_where_somebody_is_needed(needed, everyone, wanted):
    assert InStep().wanted(needed, everyone, 0.0) == wanted


def test_one_that_is_away_is_left_alone_for_longer_and_longer():
    in_step, now, pauses = InStep(), 100.0, []
    for _ in range(7):
        in_step.learn(1, in_step.wanted(1, 2, now), 2, now)
        began = now
        while in_step.wanted(1, 2, now) == 1:
            now += 0.5
            in_step.learn(1, 1, 2, now)
        pauses.append(now - began)
    assert pauses == [FIRST_PAUSE, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]


def test_one_that_is_back_is_waited_for_again_and_forgiven():
    in_step = InStep()
    in_step.learn(1, 2, 2, 0.0)
    in_step.learn(2, 2, 2, 10.0)
    in_step.learn(1, 2, 2, 20.0)
    assert in_step.wanted(1, 2, 20.0) == 1
    assert in_step.wanted(1, 2, 20.0 + FIRST_PAUSE) == 2
