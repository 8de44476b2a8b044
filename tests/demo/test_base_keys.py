import json

import jwt
import pytest

from stepup.demo.base_keys import BaseKeys
from stepup.sdk import UnavailableError
from tests.sdk.minting import Clock, Issuer, Key


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def keys(issuer, clock):
    return BaseKeys("http://127.0.0.1:8001/jwks.json", issuer.fetch, clock)


def ask_for_unknown(keys, number=50):
    for i in range(number):
        with pytest.raises(jwt.InvalidKeyError):
            keys.find(f"guess-{i}")


def test_forged_keys_ask_once_per_pause(keys, issuer, clock):
    assert keys.find("key-1").key_id == "key-1"
    ask_for_unknown(keys)
    assert issuer.fetches == 1
    clock.advance(30)
    ask_for_unknown(keys)
    assert issuer.fetches == 2
    assert keys.find("key-1").key_id == "key-1"


def test_a_new_key_is_found_after_the_pause(keys, issuer, clock):
    keys.find("key-1")
    issuer.keys = [Key("key-2")]
    clock.advance(30)
    assert keys.find("key-2").key_id == "key-2"


def test_an_identity_provider_that_was_away_is_asked_again_soon(keys, issuer, clock):
    issuer.failure = UnavailableError("away")
    with pytest.raises(UnavailableError):
        keys.find("key-1")
    ask_for_unknown(keys)
    assert issuer.fetches == 1
    issuer.failure = None
    clock.advance(2)
    assert keys.find("key-1").key_id == "key-1"


def test_a_key_without_a_name_is_passed_over(keys, issuer, monkeypatch):
    jwk = issuer.keys[0].jwk()
    del jwk["kid"]
    monkeypatch.setattr(issuer, "jwks", lambda: json.dumps({"keys": [jwk]}).encode())
    ask_for_unknown(keys, 1)
