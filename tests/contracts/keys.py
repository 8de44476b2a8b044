"""What `KeyStore` promises."""

import asyncio
from datetime import timedelta

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

    async def test_a_gone_key_is_not_returned(self, database):
        async with database.transaction() as stores:
            await stores.keys.add(a_sealed_key("gone", state=KeyState.GONE))
            assert list(await stores.keys.all()) == []

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
        assert before != added == await database.configuration_version()
