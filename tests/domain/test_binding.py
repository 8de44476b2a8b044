"""What you see is what you sign: any other value is another digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.binding import bound_digest
from tests.support.builders import TRANSFER

values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
bound = st.dictionaries(st.text(max_size=8), values, max_size=5)


def test_digests_canonical_json():
    # SHA-256 of {"action":"payments.transfer","bound":{"amount":5000,"payee":"Zoë"}}, computed
    # with sha256sum.
    digest = bound_digest("payments.transfer", {"payee": "Zoë", "amount": 5000})

    assert digest == "wO_izx9M1Bg3fZR78iIpLKsE_Psgl3zi2-sL5_DUnrQ"


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        pytest.param("payments.transfer", {"amount": 5001}, id="changed amount"),
        pytest.param("payments.transfer", {"amount": "5000"}, id="text instead of a number"),
        pytest.param("payments.transfer", {"payee": "Mallory"}, id="changed payee"),
        pytest.param("payments.transfer", {"iban": None}, id="one more value"),
        pytest.param("payments.cancel", {}, id="swapped action"),
    ],
)
def test_any_change_is_another_digest(action, changes):
    assert bound_digest(action, TRANSFER | changes) != bound_digest("payments.transfer", TRANSFER)


@given(bound)
def test_the_order_of_values_does_not_matter(values):
    backwards = dict(reversed(values.items()))

    assert bound_digest("a", backwards) == bound_digest("a", values)


@given(bound, bound)
def test_different_values_never_meet(first, second):
    same = repr(sorted(first.items(), key=repr)) == repr(sorted(second.items(), key=repr))

    assert (bound_digest("a", first) == bound_digest("a", second)) is same
