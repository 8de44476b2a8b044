"""Who gave a token: known to us, and to nobody who reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import givers
from stepup.domain.ids import AuthenticatorId, TokenId

ROOT = bytes(range(32))
ONE, OTHER = TokenId("r1.abc.def"), TokenId("r1.abc.deg")
NAMES = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=40).map(AuthenticatorId),
    max_size=5,
)


@given(NAMES)
def test_what_was_concealed_is_revealed(names):
    assert givers.reveal(ROOT, ONE, givers.conceal(ROOT, ONE, names)) == tuple(names)


def test_one_authenticator_reads_differently_in_each_token():
    app = [AuthenticatorId("0123456789abcdef0123")]
    one, other = givers.conceal(ROOT, ONE, app), givers.conceal(ROOT, OTHER, app)
    assert one != other
    assert "0123" not in one


def test_it_is_no_use_in_another_token_or_under_another_root():
    text = givers.conceal(ROOT, ONE, [AuthenticatorId("app")])
    for root, token in ((ROOT, OTHER), (bytes(32), ONE)):
        try:
            assert givers.reveal(root, token, text) != ("app",)
        except ValueError:
            continue


def test_what_is_none_of_ours_is_refused():
    with pytest.raises(ValueError, match="base64url"):
        givers.reveal(ROOT, ONE, "=")
