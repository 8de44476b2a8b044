"""What a pipeline's key looks like, and what is refused before anybody asks the database."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import api_keys
from stepup.domain.ids import ApiKeyId
from tests.support.application import a_keyring

KEY_ID = ApiKeyId("00112233445566aa")
SECRET = bytes(range(32))
TEXT = api_keys.write(KEY_ID, SECRET)


def test_reads_what_it_wrote():
    assert TEXT.startswith("suk_00112233445566aa_0001020304")
    assert api_keys.read(TEXT) == (KEY_ID, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "suk_",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        TEXT.upper(),
        TEXT.replace("suk_", "sk__"),
        TEXT[4:],
        TEXT.replace("00112233", "00112234"),
        TEXT[:-9] + ("0" if TEXT[-9] != "0" else "1") + TEXT[-8:],
        "suk_" + "\u0660" * 16 + "_" + "0" * 72,
    ],
)
def test_forged_or_mistyped_it_is_none_of_ours(text: str):
    assert api_keys.read(text) is None


@given(st.text(max_size=120))
def test_reads_anything_without_breaking(text: str):
    assert api_keys.read("suk_" + text) is None


def test_its_digest_belongs_to_its_identifier_and_to_the_root():
    keyring = a_keyring()
    other = msgspec.structs.replace(keyring, root=b"s" * 32)
    digests = {
        api_keys.digest(keyring, KEY_ID, SECRET),
        api_keys.digest(keyring, ApiKeyId("ff"), SECRET),
        api_keys.digest(other, KEY_ID, SECRET),
        api_keys.digest(keyring, KEY_ID, SECRET[::-1]),
    }
    assert len(digests) == 4


def test_its_repr_does_not_show_the_secret():
    assert SECRET.hex() not in repr(api_keys.read(TEXT))
    assert "***" in repr(api_keys.read(TEXT))
