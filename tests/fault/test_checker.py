"""The checker sees what it is there for: each violation is planted once."""

import pytest

from tests.fault.checker import IN_FORCE_WITHIN, REVOKED_WITHIN, check
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


def test_sees_a_token_that_outlives_its_revocation():
    made = history(("revoke", "t", "a", GRANTED, ""), ("introspect", "t", "b", GRANTED, ""))
    assert check(made, set(), nothing_lost=False) == {}
    made.tries[1].begun += REVOKED_WITHIN + 0.1
    assert "S3" in check(made, set(), nothing_lost=False)


def test_sees_tries_that_nobody_counted():
    guesses = [("guess", "c", attempt, GRANTED, "") for attempt in "abb"]
    counted = history(*guesses, ("tried", "c", "r", GRANTED, "2"))
    assert check(counted, set(), nothing_lost=False) == {}
    missed = history(*guesses, ("tried", "c", "r", GRANTED, "1"))
    assert "S4" in check(missed, set(), nothing_lost=False)


@pytest.mark.parametrize("rows", [["other"], ["other", "c", "c"]])
def test_sees_a_grant_with_no_row_or_two(rows):
    grant = ("redeem", "c", "a", GRANTED, "j 1")
    read = [("audited", target, "r", GRANTED, "") for target in rows]
    assert "S8" in check(history(grant, *read), set(), nothing_lost=False)
    assert check(history(grant), set(), nothing_lost=False) == {}


def test_sees_a_policy_that_somebody_does_not_have():
    made = history(("activate", "p", "a", GRANTED, "2"), ("decide", "p", "b", GRANTED, "1"))
    assert check(made, set(), nothing_lost=False) == {}
    made.tries[1].begun += IN_FORCE_WITHIN + 0.1
    assert "S9" in check(made, set(), nothing_lost=False)


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
