"""Where a search goes on: nobody reads it, changes it, or takes it elsewhere."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import digests, page_tokens
from stepup.crypto.page_tokens import InvalidPageTokenError, PagePlace
from stepup.crypto.sealing import Sealer

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
SEALER = Sealer({1: b"k" * 32}, os.urandom)
PLACE = PagePlace(offset=300, limit=50)


def sealed(search: str = "this one") -> str:
    return page_tokens.seal_place(PLACE, SEALER, search=search, now=NOW)


def opened(
    text: str, *, search: str = "this one", now: datetime = NOW, sealer: Sealer = SEALER
) -> PagePlace:
    return page_tokens.open_place(text, sealer, search=search, now=now)


def test_opens_for_the_same_search_until_it_expires():
    token = sealed()

    assert opened(token, now=NOW + page_tokens.LIFETIME) == PLACE
    with pytest.raises(InvalidPageTokenError):
        opened(token, now=NOW + page_tokens.LIFETIME + timedelta(seconds=1))


def test_does_not_open_for_another_search():
    with pytest.raises(InvalidPageTokenError):
        opened(sealed(), search="another one")


def test_does_not_open_with_another_deployment_s_key():
    with pytest.raises(InvalidPageTokenError):
        opened(sealed(), sealer=Sealer({1: b"x" * 32}, os.urandom))


@given(st.integers(0, len(sealed()) - 1), st.sampled_from("AZaz09-_"))
def test_no_character_can_be_changed(index: int, character: str):
    token = sealed()
    if token[index] == character:
        return
    with pytest.raises(InvalidPageTokenError):
        opened(token[:index] + character + token[index + 1 :])


@given(st.text())
def test_any_other_text_is_refused(text: str):
    with pytest.raises(InvalidPageTokenError):
        opened(text)


def test_does_not_show_how_much_was_passed_over():
    token = sealed()

    assert b"300" not in digests.decode(token)
    assert token != sealed()
