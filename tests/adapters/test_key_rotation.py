"""The life of keys over a real database: one instance at a time acts, and one key signs."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import KeyState, KeyUse
from stepup.usecases import keys, rotate
from stepup.usecases.tend_keys import tend
from tests.support.application import ONE_RING, a_site, memory_ports
from tests.support.determinism import NOON

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


# What the release before knows of keys; it reads and writes `key` alone.
ANNOUNCED_BY_IT = """
INSERT INTO key (id, use, algorithm, state, public_jwk, sealed, created_at, since)
VALUES (%(id)s, 'token', 'ES256', 'announced', '{"kty": "EC"}', %(sealed)s, %(at)s, %(at)s)
"""
PROMOTED_BY_IT = """
UPDATE key SET state = 'retiring', since = now() WHERE use = 'token' AND state = 'active';
UPDATE key SET state = 'active', since = now() WHERE id = '{}'
"""


async def all_rings(postgres, sealer):
    ports = memory_ports()._replace(database=postgres)
    await keys.ensure_keys(ports, sealer)
    await tend(ports, sealer, RULES)
    return ports


async def test_the_release_before_finds_its_one_ring_and_nothing_that_it_does_not_know(
    postgres, sealer, rows
):
    ports = await all_rings(postgres, sealer)
    for ring in ports.site.key_plan.rings:
        await rotate.rotate_at_once(ports, sealer, ring, force=True)
    other = ports._replace(site=a_site(region="r2"))
    await tend(other, sealer, RULES)

    found = rows.execute("SELECT use, algorithm, state FROM key ORDER BY use, state").fetchall()
    assert found == [
        ("root", "HKDF-SHA256", "active"),
        ("token", "ES256", "active"),
        ("token", "ES256", "retiring"),
    ]


async def test_what_the_release_before_announces_and_promotes_is_of_the_region_that_has_its_ring(
    postgres, sealer, rows
):
    ports = await all_rings(postgres, sealer)
    rows.execute("DELETE FROM key WHERE state = 'announced'")
    rows.execute(ANNOUNCED_BY_IT, {"id": "its", "sealed": b"x", "at": NOON})
    rows.execute(PROMOTED_BY_IT.format("its"))

    async with postgres.transaction() as stores:
        held = await stores.keys.all()
    ring = ports.site.key_plan.ring(KeyUse.TOKEN)
    assert {key.id: key.ring for key in held if key.use is KeyUse.TOKEN}["its"] == ring
    assert [key.id for key in held if key.ring == ring and key.state is KeyState.ACTIVE] == ["its"]
    # Nothing of another ring was touched.
    assert Counter(key.state for key in held if key.ring != ring and key.public_jwk) == {
        KeyState.ACTIVE: 6,
        KeyState.ANNOUNCED: 6,
    }


async def test_keys_of_the_release_before_are_adopted_and_go_on_signing(postgres, sealer, rows):
    ports = await all_rings(postgres, sealer)
    rows.execute("TRUNCATE signing_key")
    rows.execute("DELETE FROM key WHERE state = 'announced'")
    rows.execute("UPDATE key SET region = NULL")
    [[kid]] = rows.execute("SELECT id FROM key WHERE use = 'token'").fetchall()

    async with postgres.transaction() as stores:
        before = await keys.read_keyring(stores, sealer, ports.site.key_plan)
    assert {before.signer(use).id for use in (KeyUse.TOKEN, KeyUse.ID_TOKEN)} == {kid}
    done = await asyncio.gather(*(tend(ports, sealer, RULES) for _ in range(8)))

    assert sum(map(bool, done)) == 1
    async with postgres.transaction() as stores:
        after = await keys.read_keyring(stores, sealer, ports.site.key_plan)
    assert after.active.id == kid
    assert after.active.region == "r1"
    others = [key for key in after.keys if key.ring != after.active.ring]
    assert {key.state for key in others} == {KeyState.ANNOUNCED}
    assert {key.ring for key in after.keys} == set(ports.site.key_plan.rings)
