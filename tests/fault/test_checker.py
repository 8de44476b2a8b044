"""The checker sees what it is there for: each violation is planted once."""

import pytest

from tests.fault.checker import check
from tests.fault.history import History, Outcome


def history(*tries: tuple[str, str, str, Outcome, str]) -> History:
    made = History()
    for operation, target, attempt, outcome, answer in tries:
        with made.trying(f"i-{attempt}", operation, target, attempt) as one:
            one.outcome, one.answer = outcome, answer
    return made


GRANTED, TAKEN, REFUSED, UNKNOWN = (
    Outcome.GRANTED,
    Outcome.TAKEN,
    Outcome.REFUSED,
    Outcome.UNKNOWN,
)


@pytest.mark.parametrize(
    ("tries", "rule"),
    [
        ([("redeem", "c", "a", GRANTED, "j 1"), ("redeem", "c", "b", GRANTED, "j 1")], "S1"),
        ([("consume", "c", "a", GRANTED, "1"), ("consume", "c", "b", GRANTED, "1")], "S1"),
        ([("create", "c", "a", GRANTED, ""), ("redeem", "c", "b", REFUSED, "")], "S2"),
        ([("create", "c", "a", REFUSED, "")], "S2"),
        ([("redeem", "safe", "a", REFUSED, "")], "S5"),
        ([("redeem", "c", "a", GRANTED, "j 1"), ("redeem", "c", "a", GRANTED, "j 2")], "S6"),
        ([("redeem", "c", "a", GRANTED, "j 1"), ("redeem", "c", "b", GRANTED, "k 1")], "S7"),
    ],
)
def test_sees_the_violation(tries, rule):
    assert rule in check(history(*tries), {"safe"}, nothing_lost=True)


@pytest.mark.parametrize(
    "tries",
    [
        [("redeem", "c", "a", GRANTED, "j 1"), ("redeem", "c", "a", GRANTED, "j 1")],
        [("redeem", "c", "a", GRANTED, "j 1"), ("redeem", "c", "b", TAKEN, "")],
        [("redeem", "c", "a", UNKNOWN, ""), ("redeem", "c", "b", TAKEN, "")],
        [("create", "c", "a", UNKNOWN, ""), ("redeem", "c", "b", REFUSED, "")],
        [("create", "c", "a", GRANTED, ""), ("redeem", "c", "b", GRANTED, "j 1")],
        [("redeem", "other", "a", REFUSED, "")],
    ],
)
def test_accepts_what_is_allowed(tries):
    assert check(history(*tries), {"safe"}, nothing_lost=True) == {}


def test_a_loss_is_a_violation_only_where_none_is_promised():
    tries = [("create", "c", "a", GRANTED, ""), ("redeem", "c", "b", REFUSED, "")]
    assert check(history(*tries), set(), nothing_lost=False) == {}
