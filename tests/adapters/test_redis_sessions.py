"""What a browser is remembered for, at rest: sealed, in its place, and no reason to fail."""

import secrets
from collections.abc import AsyncIterator

import pytest

from stepup.adapters.redis import keys
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.browser_session import BrowserSession
from tests.support.builders import a_proof
from tests.support.determinism import CountingEntropy, StillClock

pytestmark = pytest.mark.redis


@pytest.fixture
def digest() -> str:
    return secrets.token_urlsafe(16)


@pytest.fixture
async def opened(redis_url: str, clock: StillClock) -> AsyncIterator[RedisState]:
    async with RedisState(redis_url, Sealer({1: bytes(32)}, CountingEntropy().bytes), clock) as one:
        yield one


async def test_what_a_newer_release_keeps_is_asked_for_again_and_left_alone(opened, clock, digest):
    key, proof = keys.browser_session(digest), a_proof(now=clock.now())
    await opened.client.call("HSET", key, "v", 2, "p:new", "whatever")
    await opened.client.call("PEXPIRE", key, 60_000)

    assert await opened.stores.sessions.find(digest) == BrowserSession()
    await opened.stores.sessions.add_proof(digest, proof)

    held = await opened.client.call("HGETALL", key)
    assert held == {b"v": b"2", b"p:new": b"whatever"}


async def test_what_is_under_a_key_that_is_gone_is_asked_for_again(
    opened, redis_url, clock, digest
):
    await opened.stores.sessions.add_proof(digest, a_proof(now=clock.now()))
    sealer = Sealer({2: bytes(range(32))}, CountingEntropy().bytes)
    async with RedisState(redis_url, sealer, clock) as other:
        assert await other.stores.sessions.find(digest) == BrowserSession()


async def test_attack_a_proof_that_is_copied_into_another_browser_does_not_open(
    opened, clock, digest
):
    await opened.stores.sessions.add_proof(digest, a_proof(now=clock.now()))
    stolen = await opened.client.call("HGETALL", keys.browser_session(digest))
    fields = [part for field in stolen.items() for part in field]
    await opened.client.call("HSET", keys.browser_session(f"{digest}x"), *fields)
    await opened.client.call("PEXPIRE", keys.browser_session(f"{digest}x"), 60_000)

    assert await opened.stores.sessions.find(f"{digest}x") == BrowserSession()


async def test_attack_a_proof_whose_end_was_moved_in_redis_has_ended(opened, clock, digest):
    proof, key = a_proof(now=clock.now()), keys.browser_session(digest)
    await opened.stores.sessions.add_proof(digest, proof)
    name = f"p:{proof.challenge_id}"
    held = await opened.client.call("HGET", key, name)
    await opened.client.call("HSET", key, name, b"9999999999999|" + held.partition(b"|")[2])
    clock.advance(proof.expires_at - clock.now())

    assert await opened.stores.sessions.find(digest) == BrowserSession()
