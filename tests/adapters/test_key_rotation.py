"""The life of keys over a real database: one instance at a time acts, and one key signs."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import KeyState
from stepup.usecases import keys, rotate
from stepup.usecases.tend_keys import tend
from tests.support.application import ONE_RING, a_site, memory_ports

pytestmark = [pytest.mark.postgres]

RULES = KeyRules()
AGE = "UPDATE key SET created_at = created_at - %(by)s, since = since - %(by)s"


@pytest.fixture
async def ports(postgres, sealer):
    ports = memory_ports(site=a_site(signing_algorithms=ONE_RING))._replace(database=postgres)
    await keys.ensure_keys(ports, sealer)
    return ports


async def states(ports) -> Counter[KeyState]:
    async with ports.database.transaction() as stores:
        held = [*await stores.keys.all(), *await stores.keys.gone()]
    return Counter(key.state for key in held if key.public_jwk)


async def test_of_8_instances_that_look_at_once_one_acts(ports, sealer, rows):
    for age in (timedelta(0), RULES.lifetime, timedelta(0), RULES.retiring_for):
        rows.execute(AGE, {"by": age})
        done = await asyncio.gather(*(tend(ports, sealer, RULES) for _ in range(8)))
        assert sum(map(bool, done)) == 1
        assert (await states(ports))[KeyState.ACTIVE] == 1

    rows.execute("UPDATE key SET condemned_at = condemned_at - %s", [RULES.agreement])
    await asyncio.gather(*(tend(ports, sealer, RULES) for _ in range(8)))
    assert await states(ports) == {
        KeyState.GONE: 1,
        KeyState.ACTIVE: 1,
        KeyState.ANNOUNCED: 1,
    }


async def test_operators_who_act_at_once_take_turns(ports, sealer):
    promoted = await asyncio.gather(
        *(rotate.rotate_at_once(ports, sealer, force=True) for _ in range(4))
    )

    assert len({key.id for key in promoted}) == 4
    assert await states(ports) == {KeyState.RETIRING: 4, KeyState.ACTIVE: 1}


async def test_a_promotion_that_fails_half_way_leaves_the_old_key_active(ports, sealer, rows):
    await tend(ports, sealer, RULES)
    rows.execute(AGE, {"by": RULES.lifetime})
    rows.execute(
        "ALTER TABLE key ADD CONSTRAINT nobody_else CHECK (state <> 'active' OR since < now())"
    )
    try:
        with pytest.raises(Exception, match="nobody_else"):
            await tend(ports, sealer, RULES)
    finally:
        rows.execute("ALTER TABLE key DROP CONSTRAINT nobody_else")

    assert await states(ports) == {KeyState.ACTIVE: 1, KeyState.ANNOUNCED: 1}
