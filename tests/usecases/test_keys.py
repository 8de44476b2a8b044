"""Keys: the first ones are made once, and only their public halves leave."""

import asyncio

from stepup.crypto.sealing import Sealer
from stepup.domain.keyring import KeyState, KeyUse
from stepup.usecases import keys
from tests.support.application import ONE_RING, a_site
from tests.support.world import World

SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))


async def test_the_first_start_makes_a_root_and_a_key_for_every_ring(world: World):
    plan = world.site.key_plan
    await keys.ensure_keys(world.ports, SEALER)
    async with world.ports.database.transaction() as stores:
        keyring = await keys.read_keyring(stores, SEALER, plan)

    assert {key.ring for key in keyring.keys} == set(plan.rings)
    assert {key.state for key in keyring.keys} == {KeyState.ACTIVE}
    assert len(keyring.root) == 32


async def test_many_instances_that_start_at_once_use_the_same_keys():
    world = World(site=a_site(signing_algorithms=ONE_RING))
    await asyncio.gather(*(keys.ensure_keys(world.ports, SEALER) for _ in range(20)))

    uses = [key.use for key in world.ports.database.tables.keys.values()]
    assert sorted(uses) == [KeyUse.ROOT, KeyUse.TOKEN]


async def test_a_later_start_changes_nothing(world: World):
    await keys.ensure_keys(world.ports, SEALER)
    before = dict(world.ports.database.tables.keys)
    await keys.ensure_keys(world.ports, SEALER)

    assert world.ports.database.tables.keys == before


def test_published_keys_have_no_private_half(world: World):
    published = keys.published_jwks(world.ports)["keys"]

    assert [key["kid"] for key in published] == [world.keyring.active.id]
    assert all(not {"d", "p", "q"} & key.keys() for key in published)
