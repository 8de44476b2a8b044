import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto.sealing import Sealer, UnsealError, number_of
from stepup.domain.errors import NewerFormatError

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = b"JBSWY3DPEHPK3PXP"


@pytest.fixture
def sealer() -> Sealer:
    return Sealer({1: OLD}, secrets.token_bytes)


def test_opens_what_it_sealed_in_the_same_context(sealer):
    sealed = sealer.seal(SECRET, context="authenticator:1")

    assert sealer.unseal(sealed, context="authenticator:1") == SECRET
    assert SECRET not in sealed


def test_seals_the_same_secret_differently_each_time(sealer):
    assert sealer.seal(SECRET, context="a") != sealer.seal(SECRET, context="a")


def test_refuses_a_secret_that_was_moved_to_another_row(sealer):
    sealed = sealer.seal(SECRET, context="authenticator:1")

    with pytest.raises(UnsealError):
        sealer.unseal(sealed, context="authenticator:2")


@given(st.data())
def test_refuses_any_changed_byte(data):
    sealer = Sealer({1: OLD}, secrets.token_bytes)
    sealed = bytearray(sealer.seal(SECRET, context="a"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))

    with pytest.raises((UnsealError, NewerFormatError)):
        sealer.unseal(bytes(sealed), context="a")


@given(st.integers(0, 60))
def test_refuses_a_truncated_secret(length):
    sealer = Sealer({1: OLD}, secrets.token_bytes)
    sealed = sealer.seal(SECRET, context="a")

    with pytest.raises(UnsealError):
        sealer.unseal(sealed[: min(length, len(sealed) - 1)], context="a")


def test_seals_under_the_highest_key_and_opens_under_every_key_it_has(sealer):
    both = Sealer({2: NEW, 1: OLD}, secrets.token_bytes)
    old, new = sealer.seal(SECRET, context="a"), both.seal(SECRET, context="a")

    assert both.unseal(old, context="a") == both.unseal(new, context="a") == SECRET
    with pytest.raises(UnsealError, match="key 2"):
        sealer.unseal(new, context="a")


def test_names_the_key_that_is_missing(sealer):
    sealed = Sealer({7: NEW}, secrets.token_bytes).seal(SECRET, context="a")

    with pytest.raises(UnsealError, match="key 7"):
        sealer.unseal(sealed, context="a")


def test_refuses_another_key_of_the_same_number(sealer):
    sealed = Sealer({1: NEW}, secrets.token_bytes).seal(SECRET, context="a")

    with pytest.raises(UnsealError):
        sealer.unseal(sealed, context="a")


def test_refuses_a_key_number_that_was_swapped():
    # Both numbers hold the same key, so only the authenticated number can tell.
    sealer = Sealer({1: OLD, 2: OLD}, secrets.token_bytes)
    sealed = bytearray(sealer.seal(SECRET, context="a"))
    sealed[4] = 1

    with pytest.raises(UnsealError):
        sealer.unseal(bytes(sealed), context="a")


def test_does_not_guess_at_the_format_of_a_newer_release(sealer):
    sealed = b"\x02" + sealer.seal(SECRET, context="a")[1:]

    with pytest.raises(NewerFormatError):
        sealer.unseal(sealed, context="a")


@pytest.mark.parametrize("keys", [{}, {1: b"short"}, {1: OLD, 2: b"n" * 31}])
def test_needs_keys_of_32_bytes(keys):
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(keys, secrets.token_bytes)


def test_shows_no_key(sealer):
    assert "o" * 8 not in repr(sealer)
    assert repr(sealer) == "Sealer(keys [1], ***)"


def test_the_key_that_seals_can_be_named_so_that_all_have_the_next_one_before_it_seals():
    both = Sealer({1: OLD, 2: NEW}, secrets.token_bytes, current=1)
    sealed = both.seal(SECRET, context="a")

    assert number_of(sealed) == both.current == 1
    assert Sealer({1: OLD}, secrets.token_bytes).unseal(sealed, context="a") == SECRET


def test_a_key_that_is_not_there_cannot_seal():
    with pytest.raises(ValueError, match="key 3"):
        Sealer({1: OLD, 2: NEW}, secrets.token_bytes, current=3)


def test_seals_again_under_the_current_key_only_what_lies_under_another():
    old = Sealer({1: OLD}, secrets.token_bytes).seal(SECRET, context="a")
    both = Sealer({1: OLD, 2: NEW}, secrets.token_bytes)
    again = both.seal_again(old, context="a")

    assert again is not None
    assert number_of(again) == 2
    assert Sealer({2: NEW}, secrets.token_bytes).unseal(again, context="a") == SECRET
    assert both.seal_again(again, context="a") is None


def test_does_not_seal_again_what_belongs_elsewhere():
    old = Sealer({1: OLD}, secrets.token_bytes).seal(SECRET, context="a")
    with pytest.raises(UnsealError):
        Sealer({1: OLD, 2: NEW}, secrets.token_bytes).seal_again(old, context="b")
