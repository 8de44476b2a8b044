import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import digests
from tests.support import vectors

PKCE = vectors.load("oauth-rfc-examples")["pkce_rfc7636_appendix_b"]


def test_computes_the_code_challenge_of_rfc_7636_appendix_b():
    assert digests.code_challenge_of(PKCE["code_verifier"]) == PKCE["code_challenge"]
    assert digests.is_code_verifier(PKCE["code_verifier"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 42, False),
        ("a" * 43, True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("-._~" + "Z9" * 20, True),
        ("a" * 42 + "+", False),
        ("a" * 42 + "é", False),
        ("a" * 43 + "\n", False),
        ("", False),
    ],
)
def test_rfc7636_4_1_knows_a_code_verifier_by_its_length_and_alphabet(text, expected):
    assert digests.is_code_verifier(text) is expected


def test_derives_by_rfc_5869_with_empty_salt():
    # HKDF written out: extract, then the first block of expand.
    root = bytes(range(32))
    extracted = hmac.digest(bytes(32), root, "sha256")

    expected = hmac.digest(extracted, b"ticket" + b"\x01", "sha256")

    assert digests.derive(root, "ticket") == expected


def test_derives_another_key_for_every_purpose_and_every_root():
    keys = {
        digests.derive(root, purpose)
        for root in (b"r" * 32, b"s" * 32)
        for purpose in ("ticket", "ticke", "code", "")
    }

    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}


def test_digests_under_a_key():
    assert digests.keyed_digest(b"k" * 32, "text") == hmac.digest(b"k" * 32, b"text", "sha256")
    assert digests.keyed_digest(b"k" * 32, b"text") == digests.keyed_digest(b"k" * 32, "text")
    assert digests.keyed_digest(b"l" * 32, "text") != digests.keyed_digest(b"k" * 32, "text")


def test_a_keyed_digest_is_no_plain_hash():
    assert digests.keyed_digest(b"k" * 32, "text") != hashlib.sha256(b"text").digest()


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(b"ab", b"ab", True), (b"ab", b"ac", False), (b"ab", b"abc", False)]
)
def test_compares(a, b, expected):
    assert digests.equal(a, b) is expected


@given(st.binary(max_size=200))
def test_reads_what_it_wrote(data):
    assert digests.decode(digests.encode(data)) == data


@given(st.text(alphabet="AZaz09-_+/=.\n é", max_size=12))
def test_every_text_that_decodes_is_the_one_spelling_of_its_bytes(text):
    try:
        data = digests.decode(text)
    except ValueError:
        return
    assert digests.encode(data) == text


@pytest.mark.parametrize("text", ["YQ==", "YR", "Y", "Y Q", "YQ\n", "+/+/", "é", "YQ.", "\ud800"])
def test_refuses_another_spelling(text):
    with pytest.raises(ValueError, match="base64url"):
        digests.decode(text)
