"""What `KeyStore` promises."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.ids import KeyId
from stepup.domain.keyring import KeyState, KeyUse, SealedKey
from tests.support.determinism import NOON


def a_sealed_key(name: str, **changes: object) -> SealedKey:
    fields: dict = {
        "id": KeyId(name),
        "use": KeyUse.TOKEN,
        "algorithm": "ES256",
        "state": KeyState.ACTIVE,
        "public_jwk": {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"},
        "sealed_private_key": b"\x01sealed " + name.encode(),
        "created_at": NOON,
    }
    return SealedKey(**fields | changes)


def a_root(name: str) -> SealedKey:
    return a_sealed_key(name, use=KeyUse.ROOT, algorithm="HKDF", public_jwk={})


class KeyStoreContract:
    """Subclass it and provide `database`."""

    async def test_returns_every_key_as_it_was_added(self, database):
        later = NOON + timedelta(days=1)
        keys = [
            a_root("root"),
            a_sealed_key("active"),
            a_sealed_key("next", state=KeyState.ANNOUNCED, created_at=later),
        ]
        async with database.transaction() as stores:
            assert [await stores.keys.add(key) for key in keys] == [True, True, True]
        async with database.transaction() as stores:
            assert {key.id: key for key in await stores.keys.all()} == {k.id: k for k in keys}

    async def test_one_key_of_each_ring_is_active(self, database):
        rings = [
            {"use": KeyUse.TOKEN, "algorithm": "ES256", "region": "r1"},
            {"use": KeyUse.TOKEN, "algorithm": "ES256", "region": "r2"},
            {"use": KeyUse.TOKEN, "algorithm": "RS256", "region": "r1"},
            {"use": KeyUse.ID_TOKEN, "algorithm": "ES256", "region": "r1"},
            {"use": KeyUse.ID_TOKEN, "algorithm": "RS256", "region": "r1"},
        ]
        keys = [a_sealed_key(f"{number}", **ring) for number, ring in enumerate(rings)]
        async with database.transaction() as stores:
            assert [await stores.keys.add(key) for key in keys] == [True] * len(rings)
        for ring in rings:
            async with database.transaction() as stores:
                assert not await stores.keys.add(a_sealed_key("rival", **ring))
        async with database.transaction() as stores:
            assert list(await stores.keys.all()) == keys

    @pytest.mark.parametrize(
        "ring",
        [
            {"use": KeyUse.SET, "algorithm": "RS256", "region": "r1"},
            {"use": KeyUse.TOKEN, "algorithm": "EdDSA", "region": "r1"},
        ],
        ids=["another use", "another algorithm"],
    )
    async def test_a_key_of_any_ring_lives_its_life(self, database, ring):
        announced = a_sealed_key("key", state=KeyState.ANNOUNCED, **ring)
        active = announced.moved(KeyState.ACTIVE, NOON)
        gone = active.moved(KeyState.GONE, NOON)
        async with database.transaction() as stores:
            await stores.keys.add(announced)
            assert await stores.keys.replace(active, expected=announced)
            assert not await stores.keys.replace(gone, expected=announced)
            assert await stores.keys.replace(gone, expected=active)
            assert list(await stores.keys.gone()) == [gone]

    async def test_a_key_without_a_region_is_adopted(self, database):
        before = a_sealed_key("key")
        adopted = a_sealed_key("key", region="r1")
        async with database.transaction() as stores:
            await stores.keys.add(before)
            assert await stores.keys.replace(adopted, expected=before)
            await stores.keys.add(a_sealed_key("other", region="r2"))
        async with database.transaction() as stores:
            regions = {key.id: key.region for key in await stores.keys.all()}
            assert regions == {"key": "r1", "other": "r2"}

    async def test_a_gone_key_is_returned_apart(self, database):
        gone = a_sealed_key("gone", state=KeyState.GONE, revoked_at=NOON)
        async with database.transaction() as stores:
            await stores.keys.add(gone)
            assert list(await stores.keys.all()) == []
            assert list(await stores.keys.gone()) == [gone]

    async def test_every_moment_is_kept(self, database):
        before = a_sealed_key("key", since=None)
        moments = {
            name: NOON + timedelta(seconds=number, microseconds=1)
            for number, name in enumerate(("since", "wanted_at", "condemned_at", "revoked_at"))
        }
        after = msgspec.structs.replace(before, state=KeyState.RETIRING, **moments)
        async with database.transaction() as stores:
            await stores.keys.add(before)
            assert await stores.keys.replace(after, expected=before)
        async with database.transaction() as stores:
            assert list(await stores.keys.all()) == [after]

    @pytest.mark.parametrize(
        "change",
        [
            {"state": KeyState.RETIRING},
            {"since": NOON},
            {"wanted_at": NOON},
            {"condemned_at": NOON},
            {"sealed_private_key": b"sealed again"},
        ],
        ids=lambda change: next(iter(change)),
    )
    async def test_a_key_that_was_changed_meanwhile_is_not_replaced(self, database, change):
        held = a_sealed_key("key")
        async with database.transaction() as stores:
            await stores.keys.add(held)
        stale = msgspec.structs.replace(held, **change)
        async with database.transaction() as stores:
            assert not await stores.keys.replace(stale, expected=stale)
            assert list(await stores.keys.all()) == [held]

    async def test_of_8_who_replace_a_key_at_once_one_does(self, database):
        held = a_sealed_key("key")
        async with database.transaction() as stores:
            await stores.keys.add(held)

        async def seal_again(number: int) -> bool:
            mine = msgspec.structs.replace(held, sealed_private_key=b"%d" % number)
            async with database.transaction() as stores:
                return await stores.keys.replace(mine, expected=held)

        replaced = await asyncio.gather(*map(seal_again, range(8)))

        assert sorted(replaced) == [False] * 7 + [True]

    async def test_its_clock_is_aware_and_goes_on(self, database):
        async with database.transaction() as stores:
            first = await stores.keys.now()
            assert first.utcoffset() == timedelta(0)
            assert first <= await stores.keys.now()

    async def test_the_first_root_wins_and_the_transaction_goes_on(self, database):
        async with database.transaction() as stores:
            assert await stores.keys.add(a_root("first"))
        async with database.transaction() as stores:
            assert not await stores.keys.add(a_root("second"))
            assert not await stores.keys.add(a_sealed_key("first"))
            assert [key.id for key in await stores.keys.all()] == ["first"]

    async def test_of_8_instances_that_start_at_once_one_makes_the_keys(self, database):
        async def start(number: int) -> tuple[bool, bool]:
            async with database.transaction() as stores:
                root = await stores.keys.add(a_root(f"root-{number}"))
                return root, await stores.keys.add(a_sealed_key(f"token-{number}"))

        added = await asyncio.gather(*(start(number) for number in range(8)))

        assert sorted(added) == [(False, False)] * 7 + [(True, True)]
        async with database.transaction() as stores:
            assert len(await stores.keys.all()) == 2

    async def test_only_a_key_that_was_added_changes_the_configuration(self, database):
        before = await database.configuration_version()
        async with database.transaction() as stores:
            await stores.keys.add(a_root("first"))
        added = await database.configuration_version()
        async with database.transaction() as stores:
            await stores.keys.add(a_root("second"))
        assert before < added == await database.configuration_version()
