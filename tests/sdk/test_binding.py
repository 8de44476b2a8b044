import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.binding import bound_digest as service_digest
from stepup.sdk import BindingError, bound_digest

texts = st.text(st.characters(exclude_categories=["Cs"]))
leaves = texts | st.booleans() | st.integers(-(2**63), 2**64 - 1)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=8
)


@given(texts, st.dictionaries(texts, values, max_size=5))
def test_digests_what_the_service_digests(action, bound):
    assert bound_digest(action, bound) == service_digest(action, bound)


@pytest.mark.parametrize("bound", [{}, {"a": 'é\u2028\x7f\x00\x1f"\\/'}, {"b": 1, "a": True}])
def test_digests_awkward_text_like_the_service(bound):
    assert bound_digest("payments.transfer", bound) == service_digest("payments.transfer", bound)


def test_a_number_is_not_the_text_of_it():
    assert bound_digest("a", {"amount": 5}) != bound_digest("a", {"amount": "5"})
    assert bound_digest("a", {"amount": 1}) != bound_digest("a", {"amount": True})


@pytest.mark.parametrize("value", [0.1, 1.0, None, (), {"a": None}, 2**64, -(2**63) - 1, "\ud800"])
def test_refuses_a_value_without_one_exact_form(value):
    with pytest.raises(BindingError):
        bound_digest("a", {"amount": value})


def test_refuses_endless_nesting():
    value = []
    for _ in range(2000):
        value = [value]
    with pytest.raises(BindingError, match="nested"):
        bound_digest("a", {"amount": value})
