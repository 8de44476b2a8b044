import secrets
from datetime import UTC, datetime

import msgspec
import pytest

from stepup.crypto import keys
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.keyring import KeyState
from tests.support import vectors

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
THUMBPRINT = vectors.load("oauth-rfc-examples")["jwk_thumbprint_rfc7638_3_1"]


@pytest.fixture
def sealer() -> Sealer:
    return Sealer({1: b"k" * 32}, secrets.token_bytes)


@pytest.fixture
def root(sealer):
    return keys.seal_root(keys.generate_root(secrets.token_bytes), sealer, NOW)


def test_computes_the_thumbprint_of_rfc_7638():
    assert keys.thumbprint(THUMBPRINT["jwk"]) == THUMBPRINT["sha256_thumbprint"]


def test_a_thumbprint_covers_the_public_members_only():
    jwk = keys.generate_signing_key().public_jwk

    assert keys.thumbprint({**jwk, "kid": "x", "use": "sig", "d": "y"}) == keys.thumbprint(jwk)


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "A"},
        {"kty": "RSA", "e": 3},
    ],
)
def test_refuses_the_thumbprint_of_what_is_no_public_key(jwk):
    with pytest.raises(ValueError, match="public"):
        keys.thumbprint(jwk)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_opens_a_key_of_each_algorithm_as_it_was_sealed(algorithm, sealer, root):
    key = keys.generate_signing_key(algorithm, state=KeyState.ANNOUNCED)

    keyring = keys.open_keyring([keys.seal_signing_key(key, sealer, NOW), root], sealer)

    (opened,) = keyring.keys
    assert (opened.id, opened.algorithm, opened.state) == (key.id, algorithm, KeyState.ANNOUNCED)
    assert opened.public_jwk == key.public_jwk
    assert key.id == keys.thumbprint(key.public_jwk)
    assert "d" not in key.public_jwk
    assert len(keyring.root) == 32


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", ""])
def test_makes_no_key_for_another_algorithm(algorithm):
    with pytest.raises(ValueError, match="no signing keys"):
        keys.generate_signing_key(algorithm)


def test_leaves_out_keys_that_are_gone(sealer, root):
    gone = keys.generate_signing_key(state=KeyState.GONE)

    keyring = keys.open_keyring([keys.seal_signing_key(gone, sealer, NOW), root], sealer)

    assert keyring.keys == ()


def test_refuses_a_ring_without_a_root_or_with_two(sealer, root):
    for sealed in ([], [root, root]):
        with pytest.raises(LookupError, match="one root"):
            keys.open_keyring(sealed, sealer)


def test_refuses_a_private_half_swapped_between_two_keys(sealer, root):
    one, two = (keys.seal_signing_key(keys.generate_signing_key(), sealer, NOW) for _ in range(2))
    swapped = msgspec.structs.replace(one, sealed_private_key=two.sealed_private_key)

    with pytest.raises(UnsealError):
        keys.open_keyring([swapped, root], sealer)


def test_refuses_a_key_whose_name_was_changed(sealer, root):
    key = keys.generate_signing_key()
    renamed = keys.seal_signing_key(msgspec.structs.replace(key, id="other"), sealer, NOW)

    with pytest.raises(UnsealError, match="another private half"):
        keys.open_keyring([renamed, root], sealer)


def test_refuses_a_key_whose_algorithm_was_changed(sealer, root):
    sealed = keys.seal_signing_key(keys.generate_signing_key(), sealer, NOW)

    with pytest.raises(UnsealError):
        keys.open_keyring([msgspec.structs.replace(sealed, algorithm="RS256"), root], sealer)


def test_refuses_to_seal_what_is_no_private_key(sealer):
    key = msgspec.structs.replace(keys.generate_signing_key(), private_key="secret")

    with pytest.raises(UnsealError):
        keys.seal_signing_key(key, sealer, NOW)


def test_shows_no_private_key(sealer, root):
    key = keys.generate_signing_key()
    sealed = keys.seal_signing_key(key, sealer, NOW)
    keyring = keys.open_keyring([sealed, root], sealer)

    assert repr(key).endswith("***)")
    assert repr(sealed.sealed_private_key) not in repr(sealed)
    assert repr(keyring.root) not in repr(keyring)


def test_no_key_has_a_name_that_a_command_line_takes_for_an_option():
    names = [keys.generate_signing_key().id for _ in range(500)]
    assert [name for name in names if name.startswith("-")] == []
