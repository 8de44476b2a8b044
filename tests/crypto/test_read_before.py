"""What was verified before is not verified again, and nothing else is taken on trust."""

from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import keys, tokens
from stepup.crypto.read_before import ReadBefore, Signed
from stepup.domain.keyring import Keyring, KeyState
from tests.crypto.test_tokens import KEY, KEYRING, NOW, SITE, TEXT, TOKEN, refuse


@pytest.fixture(autouse=True)
def seen():
    """The token was read a moment ago."""
    tokens.read(TEXT, KEYRING, SITE, NOW)


def test_the_signature_is_not_verified_again(monkeypatch):
    first = tokens.read(TEXT, KEYRING, SITE, NOW)
    monkeypatch.setattr(tokens.jwts, "verify", None)

    assert tokens.read(TEXT, KEYRING, SITE, NOW) == first


def test_it_expires_all_the_same():
    refuse(TEXT, now=TOKEN.expires_at)
    refuse(TEXT, now=TOKEN.issued_at - timedelta(minutes=1))


@pytest.mark.parametrize("keys_left", [(), (keys.generate_signing_key(),)])
def test_a_key_that_was_taken_back_takes_its_tokens_along(keys_left):
    refuse(TEXT, keyring=Keyring(keys=keys_left, root=KEYRING.root))
    gone = msgspec.structs.replace(KEY, state=KeyState.GONE)
    refuse(TEXT, keyring=Keyring(keys=(gone,), root=KEYRING.root))


@pytest.mark.parametrize("place", [0.3, 0.7, 0.99])
def test_a_changed_character_is_another_text(place: float):
    at = int(len(TEXT) * place)
    other = "A" if TEXT[at] != "A" else "B"
    refuse(f"{TEXT[:at]}{other}{TEXT[at + 1 :]}")


def test_another_site_verifies_for_itself():
    elsewhere = msgspec.structs.replace(SITE, issuer="https://other.example")
    with pytest.raises(tokens.InvalidTokenError):
        tokens.read(TEXT, KEYRING, elsewhere, NOW)


def test_what_is_refused_is_not_remembered():
    forged = TEXT[:-4] + "AAAA"
    for _ in range(2):
        refuse(forged)


def test_memory_has_a_bound():
    memory = ReadBefore(most=4)
    names = [Signed.of(str(n), KEY, SITE, b"r") for n in range(9)]
    for name in names:
        memory.keep(name, TOKEN)

    assert memory.find(names[-1]) == TOKEN
    assert sum(memory.find(name) is not None for name in names) <= 4


def test_no_text_of_a_token_lies_in_it():
    name = Signed.of(TEXT, KEY, SITE, KEYRING.root)

    assert TEXT.rpartition(".")[2] not in str(tuple(name))
    assert repr(name) == f"Signed({KEY.id})"
