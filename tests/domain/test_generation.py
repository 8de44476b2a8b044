"""What becomes of the state, case by case."""

from datetime import timedelta

import pytest

from stepup.domain.generation import (
    NOBODY_KNOWS,
    Finding,
    Generation,
    is_below,
    judge,
)
from stepup.domain.ids import GenerationId
from tests.support.determinism import NOON

SECOND = timedelta(seconds=1)
G1, G2 = GenerationId("g1"), GenerationId("g2")


def mark(generation_id=G1, histories="x", **changes) -> Generation:
    """Each letter is a history."""
    return Generation(id=generation_id, begun_at=NOON, histories=frozenset(histories), **changes)


def leaving(history: str, until=NOON + SECOND) -> Generation:
    return mark(leaving=history, leaving_until=until)


@pytest.mark.parametrize(
    ("seen", "histories", "known", "finding"),
    [
        pytest.param(None, "x", None, Finding.FIRST, id="the first start"),
        pytest.param(None, "x", G1, Finding.LOST, id="restarted empty"),
        pytest.param(None, "x", NOBODY_KNOWS, Finding.LOST, id="perhaps restarted empty"),
        pytest.param(mark(), "x", G1, Finding.SAME, id="nothing happened"),
        pytest.param(mark(), "x", None, Finding.SAME, id="another instance began it"),
        pytest.param(mark(), "x", NOBODY_KNOWS, Finding.SAME, id="a start without PostgreSQL"),
        pytest.param(mark(), "y", G1, Finding.CUT, id="a failover"),
        pytest.param(mark(), "y", None, Finding.CUT, id="a failover before anybody looked"),
        pytest.param(mark(), "y", NOBODY_KNOWS, Finding.CUT, id="a failover, PostgreSQL away"),
        pytest.param(mark(floor_at=NOON), "y", G1, Finding.CUT, id="a second failover"),
        pytest.param(leaving("x"), "y", G1, Finding.MOVED, id="a planned switchover"),
        pytest.param(leaving("x"), "x", G1, Finding.SAME, id="one that has not happened yet"),
        pytest.param(leaving("x", NOON), "y", G1, Finding.CUT, id="one that took too long"),
        pytest.param(leaving("w"), "y", G1, Finding.CUT, id="a failover after a planned one"),
        pytest.param(mark(G2, floor_at=NOON), "x", G1, Finding.REPLACED, id="others saw it first"),
        pytest.param(mark(G2), "x", G1, Finding.CUT, id="one who knew nothing began anew"),
        pytest.param(mark(G2, floor_at=NOON), "y", G1, Finding.CUT, id="lost, then failed over"),
        pytest.param(mark(histories="xyz"), "zx", G1, Finding.SAME, id="shards as before"),
        pytest.param(mark(histories="xy"), "xz", G1, Finding.CUT, id="one shard failed over"),
        pytest.param(mark(histories="xy"), "", G1, Finding.SAME, id="no shard can be reached"),
        pytest.param(
            mark(G2, leaving="x", leaving_until=NOON + SECOND), "y", G1, Finding.CUT, id="both"
        ),
    ],
)
def test_what_became_of_the_state(seen, histories, known, finding):
    assert judge(seen, frozenset(histories), known, NOON) is finding


@pytest.mark.parametrize(
    ("seen", "histories", "settled", "finding"),
    [
        pytest.param(mark(), "x", "x", Finding.SAME, id="nothing happened"),
        pytest.param(mark(histories="xy"), "x", "y", Finding.SAME, id="back, with all that was"),
        pytest.param(mark(), "x", "y", Finding.CUT, id="back to a server that was left"),
        pytest.param(mark(), "x", "xy", Finding.CUT, id="one shard is back"),
        pytest.param(leaving("x"), "x", "y", Finding.CUT, id="back to one with a stale plan"),
        pytest.param(leaving("x"), "z", "y", Finding.CUT, id="and restarted there"),
        pytest.param(mark(G2, floor_at=NOON), "x", "y", Finding.REPLACED, id="others saw the loss"),
    ],
)
def test_a_state_that_lacks_what_it_had_is_an_older_one(seen, histories, settled, finding):
    assert judge(seen, frozenset(histories), G1, NOON, frozenset(settled)) is finding


def test_nothing_counts_that_can_have_been_used_before_the_floor():
    assert is_below(NOON, NOON - SECOND)
    assert is_below(NOON, NOON)
    assert not is_below(NOON, NOON + timedelta(microseconds=1))


def test_without_a_floor_or_without_a_time_everything_counts():
    assert not is_below(None, NOON)
    assert not is_below(NOON, None)
