"""AuthZEN 1.0 section 7: how far a batch is carried out."""

import pytest

from stepup.domain.batch import MAX_EVALUATIONS, Semantic, check_size
from stepup.domain.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("semantic", "after_a_permit", "after_a_denial"),
    [
        (Semantic.EXECUTE_ALL, False, False),
        (Semantic.DENY_ON_FIRST_DENY, False, True),
        (Semantic.PERMIT_ON_FIRST_PERMIT, True, False),
    ],
)
def test_7_1_2_1_the_semantic_says_which_answer_is_the_last(
    semantic: Semantic, after_a_permit: bool, after_a_denial: bool
):
    assert semantic.ends_with(permitted=True) is after_a_permit
    assert semantic.ends_with(permitted=False) is after_a_denial


def test_one_request_holds_so_many_evaluations_and_no_more():
    check_size(MAX_EVALUATIONS)
    with pytest.raises(InvalidRequestError, match=f"at most {MAX_EVALUATIONS} .* {2000}"):
        check_size(2000)
