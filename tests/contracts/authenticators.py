"""What `AuthenticatorStore` promises."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.authenticator import RecoveryCodes, TotpSecret, WebAuthnCredential
from stepup.domain.errors import AuthenticatorExistsError
from stepup.domain.ids import AuthenticatorId, Subject
from stepup.ports import AuthenticatorUsed
from tests.support.builders import a_subject, an_attempt, an_authenticator
from tests.support.determinism import NOON

MINUTE = timedelta(minutes=1)
PASSKEY = WebAuthnCredential(
    credential_id=b"credential-7",
    public_key=b"\xa5public",
    sign_count=7,
    transports=("internal", "hybrid"),
    backup_eligible=True,
    backed_up=False,
    attested=True,
    aaguid="08987058-cadc-4b81-b6e1-30de50dcbe96",
    user_handle=b"\0theirs",
)
CODES = RecoveryCodes(digests=(b"one", b"two", b"three"))


async def add(database, *authenticators) -> None:
    async with database.transaction() as stores:
        for authenticator in authenticators:
            await stores.authenticators.add(authenticator)


async def find(database, authenticator):
    async with database.transaction() as stores:
        return await stores.authenticators.find(authenticator.subject, authenticator.id)


class AuthenticatorStoreContract:
    """Subclass it and provide `database`."""

    async def test_finds_what_each_of_many_subjects_has(self, database):
        alice, bob, carol = (a_subject() for _ in range(3))
        own = [an_authenticator(subject=alice, created_at=NOON + n * MINUTE) for n in range(2)]
        others = an_authenticator(subject=carol)
        await add(database, *reversed(own), others)

        async with database.transaction() as stores:
            found = await stores.authenticators.of_subjects([alice.id, bob.id])

        assert {who: list(has) for who, has in found.items()} == {alice.id: own, bob.id: []}

    async def test_pages_through_all_subjects_each_with_all_that_it_has(self, database):
        subjects = sorted((a_subject() for _ in range(5)), key=lambda subject: subject.id)
        held = {
            s: [an_authenticator(subject=s, created_at=NOON + n * MINUTE) for n in range(2)]
            for s in subjects
        }
        await add(database, *(a for own in held.values() for a in reversed(own)))

        found, after = [], ""
        async with database.transaction() as stores:
            while page := await stores.authenticators.page(after=after, count=2):
                assert len(page) <= 2
                found += page
                after = page[-1][0].id

        assert [(subject, list(own)) for subject, own in found] == list(held.items())

    async def test_reads_a_subjects_authenticators_in_a_hurry(self, database):
        subject = a_subject()
        newest = an_authenticator(PASSKEY, subject=subject, created_at=NOON + MINUTE)
        oldest = an_authenticator(subject=subject)
        await add(database, newest, oldest, an_authenticator())

        assert list(await database.authenticators_of(subject)) == [oldest, newest]
        assert list(await database.authenticators_of(a_subject())) == []

    async def test_returns_a_subjects_authenticators_oldest_first(self, database):
        subject = a_subject()
        newest = an_authenticator(PASSKEY, subject=subject, created_at=NOON + 2 * MINUTE)
        oldest = an_authenticator(TotpSecret(secret=b"seed"), subject=subject)
        middle = an_authenticator(CODES, subject=subject, created_at=NOON + MINUTE)
        await add(database, newest, oldest, middle, an_authenticator())

        async with database.transaction() as stores:
            assert list(await stores.authenticators.of_subject(subject)) == [oldest, middle, newest]

    async def test_two_issuers_with_one_sub_are_two_subjects(self, database):
        alice = an_authenticator(subject=Subject(issuer="https://idp.example", sub="alice"))
        other = Subject(issuer="https://other.example", sub="alice")
        await add(database, alice)

        async with database.transaction() as stores:
            assert list(await stores.authenticators.of_subject(other)) == []
            assert await stores.authenticators.find(other, alice.id) is None
            assert not await stores.authenticators.rename(other, alice.id, "Mine now")
            assert not await stores.authenticators.remove(other, alice.id)
        assert await find(database, alice) == alice

    @pytest.mark.parametrize("credential", [PASSKEY, CODES, TotpSecret(secret=b"s", digits=8)])
    async def test_finds_an_authenticator_as_it_was_added(self, database, credential):
        authenticator = an_authenticator(credential, last_used_at=NOON + MINUTE)
        await add(database, authenticator)
        assert await find(database, authenticator) == authenticator

    async def test_an_unknown_authenticator_is_none(self, database):
        assert await find(database, an_authenticator()) is None

    async def test_refuses_a_credential_that_anybody_has(self, database):
        await add(database, an_authenticator(PASSKEY))
        async with database.transaction() as stores:
            with pytest.raises(AuthenticatorExistsError):
                await stores.authenticators.add(an_authenticator(PASSKEY))
            # The refusal leaves the transaction whole.
            await stores.authenticators.add(an_authenticator())

    async def test_refuses_an_identifier_that_is_taken(self, database):
        authenticator = an_authenticator()
        await add(database, authenticator)
        with pytest.raises(AuthenticatorExistsError):
            await add(database, an_authenticator(id=authenticator.id))

    async def test_of_8_concurrent_enrollments_of_one_credential_one_is_kept(self, database):
        outcomes = await asyncio.gather(
            *(add(database, an_authenticator(PASSKEY)) for _ in range(8)), return_exceptions=True
        )
        assert outcomes.count(None) == 1
        assert sum(isinstance(o, AuthenticatorExistsError) for o in outcomes) == 7

    async def test_a_removed_credential_may_be_enrolled_again(self, database):
        authenticator = an_authenticator(PASSKEY)
        await add(database, authenticator)
        async with database.transaction() as stores:
            assert await stores.authenticators.remove(authenticator.subject, authenticator.id)
        await add(database, an_authenticator(PASSKEY))

    async def test_a_burned_code_is_gone_and_proves_that_the_set_was_kept(self, database):
        authenticator, attempt = an_authenticator(CODES), an_attempt()
        await add(database, authenticator)
        assert await self._burn(database, authenticator, b"two", attempt) == 2

        left = RecoveryCodes(digests=(b"one", b"three"), confirmed=True, burned_by=(attempt,))
        found = await find(database, authenticator)
        assert found == msgspec.structs.replace(authenticator, credential=left)

    async def test_the_attempt_that_burned_a_code_may_come_again(self, database):
        authenticator, attempt = an_authenticator(CODES), an_attempt()
        await add(database, authenticator)
        for _ in range(2):
            assert await self._burn(database, authenticator, b"one", attempt) == 2
        assert await self._burn(database, authenticator, b"one", an_attempt()) is None

    async def test_burns_nothing_that_is_not_there(self, database):
        codes, passkey = an_authenticator(CODES), an_authenticator(PASSKEY)
        await add(database, codes, passkey)
        assert await self._burn(database, codes, b"four", an_attempt()) is None
        for other in (passkey, an_authenticator(CODES)):
            assert await self._burn(database, other, b"one", an_attempt()) is None
        assert await find(database, codes) == codes

    async def test_a_recovery_code_is_burned_by_one_of_8_concurrent_callers(self, database):
        authenticator = an_authenticator(CODES)
        await add(database, authenticator)
        outcomes = await asyncio.gather(
            *(self._burn(database, authenticator, b"one", an_attempt()) for _ in range(8))
        )
        assert sorted(outcomes, key=str) == [2] + [None] * 7

    async def test_two_codes_of_one_set_are_burned_at_once(self, database):
        authenticator = an_authenticator(CODES)
        await add(database, authenticator)
        outcomes = await asyncio.gather(
            *(self._burn(database, authenticator, code, an_attempt()) for code in CODES.digests)
        )
        assert sorted(outcomes) == [0, 1, 2]

    async def test_renames(self, database):
        authenticator = an_authenticator(PASSKEY)
        await add(database, authenticator)
        async with database.transaction() as stores:
            assert await stores.authenticators.rename(
                authenticator.subject, authenticator.id, "Blue key 🔑"
            )
        found = await find(database, authenticator)
        assert found == msgspec.structs.replace(authenticator, name="Blue key 🔑")

    async def test_of_8_concurrent_removals_one_removes(self, database):
        authenticator = an_authenticator()
        await add(database, authenticator)

        async def remove() -> bool:
            async with database.transaction() as stores:
                return await stores.authenticators.remove(authenticator.subject, authenticator.id)

        assert sorted(await asyncio.gather(*(remove() for _ in range(8)))) == [False] * 7 + [True]
        assert await find(database, authenticator) is None

    async def test_the_signature_count_and_the_last_use_never_go_back(self, database):
        authenticator = an_authenticator(PASSKEY)
        await add(database, authenticator)

        await self._use(database, authenticator, NOON + 2 * MINUTE, sign_count=9, backed_up=True)
        await self._use(database, authenticator, NOON + MINUTE, sign_count=8)

        found = await find(database, authenticator)
        assert found.last_used_at == NOON + 2 * MINUTE
        assert (found.credential.sign_count, found.credential.backed_up) == (9, True)

    async def test_the_last_step_never_goes_back(self, database):
        app = msgspec.structs.replace(an_authenticator(), last_step=5)
        await add(database, app)
        assert (await find(database, app)).last_step == 5
        uses = [
            AuthenticatorUsed(authenticator_id=app.id, at=NOON + n * MINUTE, step=step)
            for n, step in enumerate((7, 9, None, 8))
        ]
        async with database.transaction() as stores:
            await stores.authenticators.record_uses(uses)
        assert (await find(database, app)).last_step == 9
        await self._use(database, app, NOON + 9 * MINUTE, step=8)
        found = await find(database, app)
        assert (found.last_step, found.last_used_at) == (9, NOON + 9 * MINUTE)
        assert found.has_used(9)
        assert not found.has_used(10)

    async def test_a_use_says_nothing_about_what_it_leaves_out(self, database):
        passkey, totp = an_authenticator(PASSKEY), an_authenticator()
        await add(database, passkey, totp)

        await self._use(database, passkey, NOON + MINUTE)
        await self._use(database, totp, NOON + MINUTE)

        for authenticator in (passkey, totp):
            used = msgspec.structs.replace(authenticator, last_used_at=NOON + MINUTE)
            assert await find(database, authenticator) == used

    async def test_a_use_of_a_removed_authenticator_is_harmless(self, database):
        await self._use(database, an_authenticator(), NOON, sign_count=1)

    async def test_uses_in_one_batch_come_in_any_order(self, database):
        passkey, app = an_authenticator(PASSKEY), an_authenticator()
        await add(database, passkey, app)
        said = [(3, 9, None), (1, 4, True), (2, None, False), (4, 2, None)]
        uses = [
            AuthenticatorUsed(
                authenticator_id=passkey.id, at=NOON + n * MINUTE, sign_count=count, backed_up=up
            )
            for n, count, up in said
        ]
        app_used = AuthenticatorUsed(authenticator_id=app.id, at=NOON)
        async with database.transaction() as stores:
            await stores.authenticators.record_uses([uses[0], app_used, *uses[1:]])
        found = await find(database, passkey)
        assert found.last_used_at == NOON + 4 * MINUTE
        assert (found.credential.sign_count, found.credential.backed_up) == (9, False)
        assert (await find(database, app)).last_used_at == NOON

    async def test_a_late_batch_does_not_undo_what_a_newer_use_said(self, database):
        passkey = an_authenticator(PASSKEY)
        await add(database, passkey)
        await self._use(database, passkey, NOON + 2 * MINUTE, backed_up=True)
        late = [
            AuthenticatorUsed(authenticator_id=passkey.id, at=NOON + MINUTE, backed_up=False),
            AuthenticatorUsed(authenticator_id=passkey.id, at=NOON + 3 * MINUTE),
        ]
        async with database.transaction() as stores:
            await stores.authenticators.record_uses(late)
        assert (await find(database, passkey)).credential.backed_up

    async def test_no_uses_change_nothing(self, database):
        async with database.transaction() as stores:
            await stores.authenticators.record_uses([])

    async def test_sealing_again_changes_nothing_that_can_be_read(self, database):
        app, passkey = an_authenticator(), an_authenticator(PASSKEY)
        await add(database, app, passkey)
        async with database.transaction() as stores:
            await stores.authenticators.seal_again([app.id, passkey.id])
        assert await find(database, app) == app
        assert await find(database, passkey) == passkey

    @staticmethod
    async def _burn(database, authenticator, code_digest, attempt) -> int | None:
        async with database.transaction() as stores:
            return await stores.authenticators.burn_code(authenticator.id, code_digest, attempt)

    @staticmethod
    async def _use(database, authenticator, at, **changes) -> None:
        used = AuthenticatorUsed(authenticator_id=AuthenticatorId(authenticator.id), at=at)
        async with database.transaction() as stores:
            await stores.authenticators.record_uses([msgspec.structs.replace(used, **changes)])
