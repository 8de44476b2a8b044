"""What `PolicyStore` promises."""

import asyncio

import msgspec
import pytest

from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import digest_of
from stepup.ports import Origin, ShadowPolicy
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

    async def test_a_version_tells_how_it_came_about(self, database):
        origin = Origin(
            note="as agreed",
            draft=DraftId(7),
            approvers=("bob", "carol"),
            rolled_back_from=1,
        )
        async with database.transaction() as stores:
            await stores.policies.activate("first", "alice", NOON)
            kept = await stores.policies.activate("second", "alice", NOON, origin)
        async with database.transaction() as stores:
            found = await stores.policies.find(2)
            assert await stores.policies.find(3) is None

        assert found == kept
        assert (found.note, found.draft, found.approvers, found.rolled_back_from) == (
            "as agreed",
            7,
            ("bob", "carol"),
            1,
        )
        assert (found.base, found.digest) == (1, digest_of("second"))

    async def test_versions_come_in_pages_newest_first_and_without_their_texts(self, database):
        async with database.transaction() as stores:
            for number in range(1, 6):
                await stores.policies.activate(f"document {number}", "alice", NOON)
            newest = await stores.policies.page(before=2**31 - 1, count=3)
            rest = await stores.policies.page(before=newest[-1].version, count=3)

        assert [one.version for one in (*newest, *rest)] == [5, 4, 3, 2, 1]
        assert newest[0].digest == digest_of("document 5")
        assert not any(hasattr(one, "document") for one in newest)

    async def test_of_activations_that_hold_the_active_version_each_sees_the_one_before(
        self, database
    ):
        async def activate_after(expected: int) -> bool:
            async with database.transaction() as stores:
                active = await stores.policies.hold_active()
                if (active.version if active else 0) != expected:
                    return False
                await stores.policies.activate("document", "alice", NOON)
                return True

        done = await asyncio.gather(*(activate_after(0) for _ in range(10)))
        assert sorted(done) == [False] * 9 + [True]

    async def test_one_shadow_at_a_time_and_it_is_a_change_of_the_configuration(self, database):
        first = ShadowPolicy(
            draft=DraftId(1),
            digest="d1",
            document="first",
            by=AdministratorId("alice"),
            at=NOON,
        )
        second = msgspec.structs.replace(first, draft=DraftId(2), document="second")
        before = await database.configuration_version()
        async with database.transaction() as stores:
            assert await stores.policies.find_shadow() is None
            await stores.policies.put_shadow(first)
            await stores.policies.put_shadow(second)
        assert await database.configuration_version() > before
        async with database.transaction() as stores:
            assert await stores.policies.find_shadow() == second
            # Whoever ends another draft's shadow would end what somebody else measures.
            assert not await stores.policies.remove_shadow(DraftId(1))

        async def remove() -> bool:
            async with database.transaction() as stores:
                return await stores.policies.remove_shadow(DraftId(2))

        assert sorted(await asyncio.gather(*(remove() for _ in range(5)))) == [False] * 4 + [True]
        async with database.transaction() as stores:
            assert await stores.policies.find_shadow() is None
