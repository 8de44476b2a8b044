"""What `PolicyStore` promises."""

import asyncio

import pytest

from tests.support.determinism import NOON


class PolicyStoreContract:
    """Subclass it and provide `database`."""

    async def test_has_no_active_version_before_the_first(self, database):
        async with database.transaction() as stores:
            assert await stores.policies.find_active() is None

    async def test_the_last_activated_version_is_active(self, database):
        async with database.transaction() as stores:
            first = await stores.policies.activate("version: 1", "alice", NOON)
            second = await stores.policies.activate("version: 1 # again", "bob", NOON)

        assert (first.version, second.version) == (1, 2)
        assert (second.document, second.author, second.activated_at) == (
            "version: 1 # again",
            "bob",
            NOON,
        )
        async with database.transaction() as stores:
            assert await stores.policies.find_active() == second

    async def test_20_concurrent_activations_get_20_numbers(self, database):
        async def activate(number: int) -> int:
            async with database.transaction() as stores:
                version = await stores.policies.activate(f"document {number}", "alice", NOON)
            return version.version

        versions = await asyncio.gather(*(activate(number) for number in range(20)))

        assert sorted(versions) == list(range(1, 21))

    async def test_a_version_that_was_not_committed_leaves_no_gap(self, database):
        async def activate_and_refuse() -> None:
            async with database.transaction() as stores:
                await stores.policies.activate("refused", "alice", NOON)
                raise KeyError

        with pytest.raises(KeyError):
            await activate_and_refuse()
        async with database.transaction() as stores:
            assert (await stores.policies.activate("kept", "alice", NOON)).version == 1

    async def test_an_activation_changes_the_configuration(self, database):
        before = await database.configuration_version()
        async with database.transaction() as stores:
            await stores.policies.activate("document", "alice", NOON)
        assert await database.configuration_version() > before
        async with database.transaction() as stores:
            number = await stores.policies.configuration_version()
        assert number == await database.configuration_version()
