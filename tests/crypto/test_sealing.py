import secrets
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto.sealing import Sealer, UnsealError, parse_keys
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
    assert both.needs_rewrap(old)
    assert not both.needs_rewrap(new)


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


def test_reads_keys_in_either_alphabet_and_with_or_without_padding():
    key = bytes([251, 255] * 16)
    standard, url = b64encode(key).decode(), urlsafe_b64encode(key).decode().rstrip("=")

    assert parse_keys(f"1:{standard}, 12:{url}") == {1: key, 12: key}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "entry 1"),
        (b64encode(NEW).decode(), "entry 1"),
        ("0:" + b64encode(NEW).decode(), "entry 1"),
        ("x:" + b64encode(NEW).decode(), "entry 1"),
        ("1:" + b64encode(NEW).decode() + ",", "entry 2"),
        ("1:" + b64encode(NEW[:31]).decode(), "key 1"),
        ("1:" + b64encode(NEW).decode()[:-3], "key 1"),
        ("1:" + b64encode(NEW).decode() + ",1:" + b64encode(OLD).decode(), "twice"),
    ],
)
def test_refuses_malformed_keys_without_repeating_them(text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_keys(text)

    assert b64encode(NEW).decode()[:8] not in str(caught.value)
    assert caught.value.__cause__ is None
