"""One DPoP proof at many instances over a real Redis: one of them takes it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.authorization_errors import InvalidDpopProofError
from stepup.usecases import proofs
from tests.support.determinism import CountingEntropy
from tests.support.dpop import ProofKey
from tests.support.world import World

pytestmark = pytest.mark.redis

URL = "https://stepup.example/oauth2/token"


@pytest.fixture
async def instances(redis_url: str) -> AsyncIterator[list[World]]:
    worlds = [World() for _ in range(2)]
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    clock = worlds[0].clock
    async with (
        RedisState(redis_url, sealer, clock) as one,
        RedisState(redis_url, sealer, clock) as other,
    ):
        for number, (world, state) in enumerate(zip(worlds, (one, other), strict=True)):
            chance = CountingEntropy()
            chance.drawn = number * 1000
            world.ports = world.ports._replace(state=state.stores, entropy=chance, clock=clock)
        yield worlds


async def test_replay_of_64_requests_at_two_instances_one_is_served(instances: list[World]):
    proof = ProofKey().proof("POST", URL, instances[0].clock.now())

    results = await asyncio.gather(
        *(proofs.accept(instances[n % 2].ports, proof, method="POST", url=URL) for n in range(64)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, proofs.Proven) for result in results) == 1
    assert sum(isinstance(result, InvalidDpopProofError) for result in results) == 63
