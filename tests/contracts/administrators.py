"""What `AdministratorStore` and `ApiKeyStore` promise."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.admin_errors import ApiKeyExistsError
from stepup.domain.administrator import ApiKey, Appointment, Scope
from stepup.domain.ids import ApiKeyId, Subject
from tests.support.determinism import NOON

ALICE = Appointment(
    subject=Subject("https://idp.example", "alice"),
    scopes=frozenset({Scope.POLICY_READ, Scope.POLICY_APPROVE}),
    by="host:root",
    at=NOON,
)
CI = ApiKey(
    id=ApiKeyId("00112233445566aa"),
    name="ci",
    digest=b"\x00digest",
    scopes=frozenset({Scope.POLICY_DRAFT}),
    created_by="host:root",
    created_at=NOON,
    expires_at=NOON + timedelta(days=90),
)


def another(**changes: object) -> ApiKey:
    return msgspec.structs.replace(CI, **{"id": ApiKeyId("ff"), "name": "other"} | changes)


class AdministratorStoreContract:
    """Subclass it and provide `database`."""

    async def test_finds_whoever_was_appointed_and_nobody_else(self, database):
        async with database.transaction() as stores:
            await stores.administrators.put(ALICE)
        async with database.transaction() as stores:
            assert await stores.administrators.find(ALICE.subject) == ALICE
            # The same sub of another issuer is somebody else.
            for other in (Subject("https://other.example", "alice"), Subject("", "alice")):
                assert await stores.administrators.find(other) is None
            assert list(await stores.administrators.all()) == [ALICE]

    async def test_appointing_again_replaces_what_somebody_may(self, database):
        less = msgspec.structs.replace(ALICE, scopes=frozenset({Scope.POLICY_READ}), by="bob")
        async with database.transaction() as stores:
            await stores.administrators.put(ALICE)
            await stores.administrators.put(less)
        async with database.transaction() as stores:
            assert list(await stores.administrators.all()) == [less]

    async def test_of_many_who_dismiss_one_gets_true(self, database):
        async with database.transaction() as stores:
            await stores.administrators.put(ALICE)

        async def dismiss() -> bool:
            async with database.transaction() as stores:
                return await stores.administrators.remove(ALICE.subject)

        assert sorted(await asyncio.gather(*(dismiss() for _ in range(8)))) == [False] * 7 + [True]
        async with database.transaction() as stores:
            assert await stores.administrators.find(ALICE.subject) is None


class ApiKeyStoreContract:
    """Subclass it and provide `database`."""

    async def test_returns_a_key_as_it_was_added(self, database):
        async with database.transaction() as stores:
            await stores.api_keys.add(CI)
        async with database.transaction() as stores:
            assert await stores.api_keys.find(CI.id) == CI
            assert await stores.api_keys.find(ApiKeyId("nobody")) is None
            assert list(await stores.api_keys.all()) == [CI]

    async def test_of_many_keys_of_one_name_one_is_kept(self, database):
        async def add(number: int) -> bool:
            try:
                async with database.transaction() as stores:
                    await stores.api_keys.add(another(id=ApiKeyId(f"{number}"), name="ci"))
            except ApiKeyExistsError:
                return False
            return True

        assert sum(await asyncio.gather(*(add(number) for number in range(8)))) == 1

    async def test_a_name_is_free_again_after_the_revocation(self, database):
        async with database.transaction() as stores:
            await stores.api_keys.add(CI)
            assert await stores.api_keys.revoke(CI.id, NOON)
            await stores.api_keys.add(another(name="ci"))
        async with database.transaction() as stores:
            assert len(await stores.api_keys.all()) == 2

    async def test_an_identifier_is_never_used_twice(self, database):
        async with database.transaction() as stores:
            await stores.api_keys.add(CI)
            await stores.api_keys.revoke(CI.id, NOON)
        with pytest.raises(ApiKeyExistsError):
            async with database.transaction() as stores:
                await stores.api_keys.add(another(id=CI.id))

    async def test_of_many_who_revoke_one_gets_true_and_the_moment_stays(self, database):
        async with database.transaction() as stores:
            await stores.api_keys.add(CI)

        async def revoke(minute: int) -> bool:
            async with database.transaction() as stores:
                return await stores.api_keys.revoke(CI.id, NOON + timedelta(minutes=minute))

        done = await asyncio.gather(*(revoke(minute) for minute in range(8)))

        assert sorted(done) == [False] * 7 + [True]
        async with database.transaction() as stores:
            found = await stores.api_keys.find(CI.id)
        assert found.revoked_at == NOON + timedelta(minutes=done.index(True))

    async def test_the_last_use_never_goes_back(self, database):
        later = NOON + timedelta(hours=1)
        async with database.transaction() as stores:
            await stores.api_keys.add(CI)
            await stores.api_keys.note_use(CI.id, later)
            await stores.api_keys.note_use(CI.id, NOON)
            await stores.api_keys.note_use(ApiKeyId("nobody"), NOON)
        async with database.transaction() as stores:
            assert (await stores.api_keys.find(CI.id)).last_used_at == later
