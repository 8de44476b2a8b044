"""What a source of key-encryption keys promises."""

import base64

import pytest

from stepup.ports.key_wrapping import KeyWrapError

KEY = bytes(range(32))


class KeyWrappingContract:
    """Subclass it and provide `wrapping`."""

    def test_returns_the_key_that_was_wrapped(self, wrapping):
        entries = {number: wrapping.wrap(number, KEY) for number in (1, 2, 2**32 - 1)}
        assert all(wrapping.unwrap(number, entry) == KEY for number, entry in entries.items())

    def test_an_entry_is_one_word_of_base64(self, wrapping):
        entry = wrapping.wrap(1, KEY)
        assert entry.isascii()
        assert not {",", ":", " ", "\n"} & set(entry)

    @pytest.mark.parametrize("entry", ["", "AAAA", "not base64!", "\u00e4", "A" * 400])
    def test_refuses_what_is_no_entry_and_repeats_nothing(self, wrapping, entry):
        with pytest.raises(KeyWrapError) as refused:
            wrapping.unwrap(7, entry)
        message = str(refused.value)
        assert "key 7" in message
        assert len(message.splitlines()) == 1
        assert not entry or entry not in message

    def test_is_called_something(self, wrapping):
        assert wrapping.name


class HidingContract(KeyWrappingContract):
    """Of those whose entries are no secret."""

    def test_the_entry_does_not_hold_the_key(self, wrapping):
        assert wrapping.hides
        assert KEY not in base64.b64decode(wrapping.wrap(1, KEY))

    def test_no_two_entries_are_alike(self, wrapping):
        assert wrapping.wrap(1, KEY) != wrapping.wrap(1, KEY)

    def test_an_entry_moved_to_another_number_is_refused(self, wrapping):
        with pytest.raises(KeyWrapError, match="key 2"):
            wrapping.unwrap(2, wrapping.wrap(1, KEY))

    @pytest.mark.parametrize("place", [0, 20, -2])
    def test_a_changed_entry_is_refused(self, wrapping, place):
        letters = list(wrapping.wrap(1, KEY))
        letters[place] = "A" if letters[place] != "A" else "B"
        with pytest.raises(KeyWrapError, match="key 1"):
            wrapping.unwrap(1, "".join(letters))
