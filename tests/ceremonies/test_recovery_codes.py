import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.ceremonies import recovery_codes
from stepup.domain.authenticator import RecoveryCodes

KEY = b"k" * 32
CODES = recovery_codes.generate(bytes(range(100)))
KEPT = RecoveryCodes(digests=tuple(recovery_codes.digest(code, KEY) for code in CODES))


def test_writes_ten_codes_of_sixteen_characters_in_groups_of_four():
    assert len(CODES) == len(set(CODES)) == 10
    assert CODES[0] == "AAAQ-EAYE-AUDA-OCAJ"
    assert all(len(code.replace("-", "")) == 16 for code in CODES)


@pytest.mark.parametrize("length", [0, 99, 101])
def test_needs_a_hundred_random_bytes(length):
    with pytest.raises(ValueError, match="100"):
        recovery_codes.generate(bytes(length))


@given(st.binary(min_size=100, max_size=100))
def test_every_code_is_recognized(random):
    codes = recovery_codes.generate(random)
    kept = RecoveryCodes(digests=tuple(recovery_codes.digest(code, KEY) for code in codes))

    for code, digest in zip(codes, kept.digests, strict=True):
        assert recovery_codes.matching_digest(kept, code, KEY) == digest


@pytest.mark.parametrize(
    "typed",
    [
        "AAAQEAYEAUDAOCAJ",
        "aaaq-eaye-auda-ocaj",
        " AAAQ EAYE AUDA OCAJ ",
        "AAAQ\u2013EAYE\u2013AUDA\u2013OCAJ",
        "AAAQ-EAYE-AUDA-0CAJ",
    ],
)
def test_takes_a_code_as_people_type_it(typed):
    assert recovery_codes.matching_digest(KEPT, typed, KEY) == KEPT.digests[0]


@pytest.mark.parametrize(
    "typed", ["", "AAAQ", "AAAQ-EAYE-AUDA-OCAJ-A", "AAAQ-EAYE-AUDA-OCA9", "ÄAAQEAYEAUDAOCAJ", "\0"]
)
def test_refuses_what_is_no_code(typed):
    assert recovery_codes.normalize(typed) is None
    assert recovery_codes.matching_digest(KEPT, typed, KEY) is None
    with pytest.raises(ValueError, match="recovery code"):
        recovery_codes.digest(typed, KEY)


def test_refuses_a_code_of_another_set():
    (other, *_) = recovery_codes.generate(secrets.token_bytes(100))

    assert recovery_codes.matching_digest(KEPT, other, KEY) is None


def test_refuses_a_code_that_was_burned():
    left = RecoveryCodes(digests=KEPT.digests[1:])

    assert recovery_codes.matching_digest(left, CODES[0], KEY) is None
    assert recovery_codes.matching_digest(left, CODES[1], KEY) == KEPT.digests[1]


def test_a_stolen_table_says_nothing_without_the_key():
    assert recovery_codes.matching_digest(KEPT, CODES[0], b"l" * 32) is None
