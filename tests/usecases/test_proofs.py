"""A proof of possession counts once, everywhere, and with a nonce of ours where one is asked for."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import dpop
from stepup.domain.authorization_errors import InvalidDpopProofError, UseDpopNonceError
from stepup.usecases import proofs
from tests.support.determinism import CountingEntropy
from tests.support.dpop import ProofKey
from tests.support.world import World

URL = "https://stepup.example/oauth2/token"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def key() -> ProofKey:
    return ProofKey()


def nonce_of(world: World, ago: timedelta = timedelta(0)) -> str:
    root = world.ports.snapshot.keyring.root
    return dpop.nonce_at(dpop.nonce_key(root), world.clock.now() - ago)


def require_nonces(world: World) -> None:
    site = msgspec.structs.replace(world.site, dpop_nonce_required=True)
    world.ports = world.ports._replace(site=site)


async def accept(world: World, text: str) -> proofs.Proven:
    return await proofs.accept(world.ports, text, method="POST", url=URL)


async def test_replay_of_twenty_requests_with_one_proof_one_is_served(world: World, key: ProofKey):
    proof = key.proof("POST", URL, world.clock.now())

    results = await asyncio.gather(
        *(accept(world, proof) for _ in range(20)), return_exceptions=True
    )

    assert sum(isinstance(r, proofs.Proven) for r in results) == 1
    assert sum(isinstance(r, InvalidDpopProofError) for r in results) == 19


async def test_replay_at_another_instance_is_refused(world: World, key: ProofKey):
    other = World(keyring=world.keyring, clock=world.clock)
    chance = CountingEntropy()
    chance.drawn = 1000
    other.ports = other.ports._replace(state=world.ports.state, entropy=chance)
    proof = key.proof("POST", URL, world.clock.now())
    await accept(world, proof)

    with pytest.raises(InvalidDpopProofError):
        await accept(other, proof)


async def test_a_nonce_of_one_instance_is_good_at_another(world: World, key: ProofKey):
    other = World(keyring=world.keyring, clock=world.clock)
    require_nonces(other)

    proof = key.proof("POST", URL, world.clock.now(), nonce=nonce_of(world))

    assert await accept(other, proof)


async def test_replay_a_proof_of_before_the_state_was_lost_may_have_been_seen(
    world: World, key: ProofKey
):
    await world.ports.state.generations.lose()
    with pytest.raises(InvalidDpopProofError):
        await accept(world, key.proof("POST", URL, world.clock.now(), jti="before"))

    # One that was made ahead of time could have been seen before as well, for ten seconds.
    world.clock.advance(timedelta(seconds=11))
    assert await accept(world, key.proof("POST", URL, world.clock.now(), jti="after"))


async def test_rfc9449_11_1_a_jti_is_seen_once_however_the_proof_is_written(
    world: World, key: ProofKey
):
    now = world.clock.now()
    await accept(world, key.proof("POST", URL, now, jti="same"))

    with pytest.raises(InvalidDpopProofError):
        await accept(world, key.proof("POST", URL, now - timedelta(seconds=5), jti="same"))


async def test_two_clients_may_choose_one_jti(world: World, key: ProofKey):
    now = world.clock.now()
    for each in (key, ProofKey()):
        assert (await accept(world, each.proof("POST", URL, now, jti="1"))).jkt == each.jkt


async def test_replay_a_proof_is_remembered_for_as_long_as_it_would_hold(
    world: World, key: ProofKey
):
    proof = key.proof("POST", URL, world.clock.now() + timedelta(seconds=10))
    await accept(world, proof)

    for _ in range(7):
        world.clock.advance(timedelta(seconds=10))
        with pytest.raises(InvalidDpopProofError):
            await accept(world, proof)


async def test_a_proof_that_does_not_hold_is_not_remembered(world: World, key: ProofKey):
    wrong = key.proof("GET", URL, world.clock.now(), jti="mine")
    with pytest.raises(InvalidDpopProofError):
        await accept(world, wrong)

    assert await accept(world, key.proof("POST", URL, world.clock.now(), jti="mine"))


# --- check 10 of RFC 9449 section 4.3 -------------------------------------------------------------


async def test_rfc9449_4_3_10_asks_for_a_nonce_where_one_is_needed(world: World, key: ProofKey):
    require_nonces(world)

    with pytest.raises(UseDpopNonceError) as error:
        await accept(world, key.proof("POST", URL, world.clock.now()))

    again = key.proof("POST", URL, world.clock.now(), nonce=error.value.nonce)
    assert (await accept(world, again)).next_nonce is None


@pytest.mark.parametrize("required", [True, False])
async def test_rfc9449_4_3_10_refuses_a_nonce_that_is_not_ours_or_too_old(
    world: World, key: ProofKey, required: bool
):
    if required:
        require_nonces(world)

    for nonce in ("made-up", nonce_of(world, 2 * dpop.NONCE_WINDOW)):
        with pytest.raises(UseDpopNonceError) as error:
            await accept(world, key.proof("POST", URL, world.clock.now(), nonce=nonce))
        assert error.value.nonce == nonce_of(world)


async def test_rfc9449_8_2_the_next_nonce_comes_before_the_last_one_ends(
    world: World, key: ProofKey
):
    old = nonce_of(world, dpop.NONCE_WINDOW)
    proven = await accept(world, key.proof("POST", URL, world.clock.now(), nonce=old))

    assert proven.next_nonce == nonce_of(world)


async def test_a_nonce_that_is_missing_burns_no_proof(world: World, key: ProofKey):
    optional = world.ports
    require_nonces(world)
    proof = key.proof("POST", URL, world.clock.now())
    with pytest.raises(UseDpopNonceError):
        await accept(world, proof)

    world.ports = optional
    assert await accept(world, proof)
