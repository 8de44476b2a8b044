"""A difference of texts is what everybody expects, and ends whatever the texts are."""

import time
from difflib import unified_diff

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.policy_language.text_difference import text_difference

TEXTS = st.lists(st.sampled_from("abcd"), max_size=40).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


@given(TEXTS, TEXTS)
def test_is_a_unified_diff(before: str, after: str):
    expected = unified_diff(before.splitlines(True), after.splitlines(True), "a", "b")
    assert text_difference(before, after, ("a", "b")) == "".join(expected)


def _cycle(step: int, period: int) -> str:
    return "".join(f"{number * step % period}\n" for number in range(200_000))


@pytest.mark.parametrize("period", [300, 2000])
def test_a_document_made_to_be_hard_to_compare_keeps_nobody_from_going_back(period: int):
    before, after = _cycle(1, period), _cycle(7, period)
    began = time.process_time()
    told = text_difference(before, after, ("a", "b"))
    assert time.process_time() - began < 20
    # The names stand in front.
    assert told.count("\n-") == told.count("\n+") - 1
