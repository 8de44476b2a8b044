import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stepup.sdk import InvalidToken, UnavailableError
from stepup.sdk.keys import KeySet
from tests.sdk.minting import TRANSFER, VALUES, Clock, Issuer, Key, a_stepup


@pytest.fixture
def steady():
    return Clock(1000.0)


@pytest.fixture
def keys(issuer, steady):
    return KeySet("https://issuer/jwks", issuer.fetch, clock=steady)


def settle():
    for thread in threading.enumerate():
        if thread.name == "stepup-jwks":
            thread.join(5)


def test_asks_once_for_ten_minutes(keys, issuer, steady):
    for _ in range(3):
        assert keys.find("key-1").alg == "ES256"
    steady.advance(599)
    assert keys.find("key-1")
    assert issuer.fetches == 1


def test_serves_stale_keys_while_new_ones_are_fetched(keys, issuer, steady):
    keys.find("key-1")
    go_on = threading.Event()
    issuer.before = lambda: go_on.wait(5)
    steady.advance(601)

    assert [keys.find("key-1") is not None for _ in range(20)] == [True] * 20

    go_on.set()
    settle()
    assert issuer.fetches == 2


def test_serves_stale_keys_for_a_day_while_the_issuer_is_away(keys, issuer, steady):
    keys.find("key-1")
    issuer.failure = OSError("no route")
    for _ in range(23):
        steady.advance(3600)
        assert keys.find("key-1")
        settle()
    steady.advance(3600)
    with pytest.raises(UnavailableError):
        keys.find("key-1")


def test_does_not_press_an_issuer_that_is_away(keys, issuer, steady):
    issuer.failure = UnavailableError("no route")
    for _ in range(10):
        with pytest.raises(UnavailableError):
            keys.find("key-1")
    assert issuer.fetches == 1
    steady.advance(3)
    issuer.failure = None
    assert keys.find("key-1")


def test_an_unknown_kid_asks_once_in_thirty_seconds(keys, issuer, steady):
    keys.find("key-1")
    for n in range(50):
        assert keys.find(f"forged-{n}") is None
    assert issuer.fetches == 2
    steady.advance(29)
    assert keys.find("forged") is None
    assert issuer.fetches == 2
    steady.advance(1)
    assert keys.find("forged") is None
    assert issuer.fetches == 3


def test_a_first_unknown_kid_asks_only_once(keys, issuer):
    assert keys.find("forged") is None
    assert issuer.fetches == 1


def test_finds_a_new_key_at_once(keys, issuer):
    keys.find("key-1")
    issuer.keys.append(Key("key-2"))
    assert keys.find("key-2")


def test_a_failed_look_for_an_unknown_kid_leaves_the_known_ones(keys, issuer):
    keys.find("key-1")
    issuer.failure = OSError("reset")
    assert keys.find("forged") is None
    assert keys.find("key-1")


def test_many_threads_make_one_request(keys, issuer):
    start = threading.Barrier(20)

    def find(_):
        start.wait(5)
        return keys.find("key-1")

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(find, range(20)))

    assert all(found)
    assert issuer.fetches == 1


async def test_many_tasks_make_one_request(issuer, sdk_clock):
    su = a_stepup(issuer, sdk_clock)
    raws = [issuer.mint(jti=f"token-{n}") for n in range(50)]

    tokens = await asyncio.gather(*(su.verify_async(raw, TRANSFER, VALUES) for raw in raws))

    assert len({token.jti for token in tokens}) == 50
    assert issuer.fetches == 1


async def test_a_slow_issuer_does_not_stop_the_loop(issuer, sdk_clock):
    go_on = threading.Event()
    issuer.before = lambda: go_on.wait(5)
    su = a_stepup(issuer, sdk_clock)
    task = asyncio.create_task(su.verify_async(issuer.mint(), TRANSFER, VALUES))

    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()

    assert await task


def test_a_key_that_was_taken_back_is_not_trusted_from_memory(issuer, sdk_clock):
    su = a_stepup(issuer, sdk_clock)
    raw = issuer.mint()
    assert su.verify(raw, TRANSFER, VALUES)
    issuer.keys = [Key("key-2")]
    assert su.verify(issuer.mint(), TRANSFER, VALUES)  # an unknown kid: fetches
    with pytest.raises(InvalidToken):
        su.verify(raw, TRANSFER, VALUES)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"keys": {}}', b"\xff"])
def test_what_is_not_a_key_set_gives_no_keys(keys, issuer, body):
    issuer.jwks = lambda: body
    with pytest.raises(UnavailableError):
        keys.find("key-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"alg": None},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"kid": None},
        {"kid": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"crv": "P-384"},
        {"x": "AA"},
    ],
    ids=str,
)
def test_passes_over_keys_that_it_cannot_use(steady, changes):
    good, odd = Key("good"), Key("odd")
    issuer = Issuer(good)
    issuer.jwks = lambda: json.dumps({"keys": [odd.jwk(**changes), "x", good.jwk()]}).encode()
    keys = KeySet("u", issuer.fetch, ["ES256", "RS256"], steady)
    assert keys.find("good")
    assert keys.find("odd") is None


def test_two_keys_of_one_name_are_none(steady):
    issuer = Issuer(Key("twin"), Key("twin"), Key("other"))
    keys = KeySet("u", issuer.fetch, clock=steady)
    assert keys.find("twin") is None
    assert keys.find("other")


@pytest.mark.parametrize("alg", ["RS256", "EdDSA"])
def test_other_algorithms_are_a_setting(sdk_clock, alg):
    issuer = Issuer(Key("k", alg))
    su = a_stepup(issuer, sdk_clock, algorithms=[alg])
    assert su.verify(issuer.mint(), TRANSFER, VALUES)


@pytest.mark.parametrize("algorithms", [[], ["HS256"], ["none"], ["ES256", "HS512"]])
def test_refuses_an_algorithm_that_is_not_asymmetric(issuer, sdk_clock, algorithms):
    with pytest.raises(ValueError, match="algorithms"):
        a_stepup(issuer, sdk_clock, algorithms=algorithms)
