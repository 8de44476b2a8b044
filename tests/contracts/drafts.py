"""What `DraftStore` promises."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain import policy_draft
from stepup.domain.administrator import Administrator
from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft, Standing
from tests.support.determinism import NOON


def somebody(name: str) -> Administrator:
    return Administrator(id=AdministratorId(name), name=name.title(), scopes=frozenset())


ALICE, BOB, CAROL = map(somebody, ("alice", "bob", "carol"))
STANDING = Standing(active=0, needed=0)


def begun(document: str = "a text", by: Administrator = ALICE) -> PolicyDraft:
    return policy_draft.begin(document, "a draft", 0, by, NOON)


async def added(database, draft: PolicyDraft | None = None) -> PolicyDraft:
    async with database.transaction() as stores:
        return await stores.drafts.add(draft or begun())


async def moved(database, draft: PolicyDraft, to: PolicyDraft) -> bool:
    async with database.transaction() as stores:
        return await stores.drafts.replace(to, expected_revision=draft.revision)


async def found(database, draft: PolicyDraft) -> PolicyDraft | None:
    async with database.transaction() as stores:
        return await stores.drafts.find(draft.id)


class DraftStoreContract:
    """Subclass it and provide `database`."""

    async def test_a_draft_gets_a_number_and_is_found_by_it(self, database):
        first, second = await added(database), await added(database)
        assert 0 < first.id < second.id
        assert await found(database, first) == first
        async with database.transaction() as stores:
            assert await stores.drafts.find(DraftId(second.id + 1)) is None
            assert await stores.drafts.hold(DraftId(second.id + 1)) is None

    async def test_every_part_of_a_draft_is_kept(self, database):
        draft = await added(database)
        whole = policy_draft.edit(draft, Edit(document="Zwölf ☕"), BOB, NOON)
        whole = policy_draft.approve(whole, CAROL, whole.digest, STANDING, NOON)
        whole = policy_draft.schedule(whole, NOON + timedelta(days=1), ALICE, STANDING, NOON)
        assert await moved(database, draft, whole)
        assert await found(database, draft) == whole

        failed = policy_draft.unschedule(whole, NOON, "base_changed")
        assert await moved(database, whole, failed)
        assert await found(database, draft) == failed

        done = policy_draft.activate(failed, 1, STANDING, NOON)
        assert await moved(database, failed, done)
        assert await found(database, draft) == done

    async def test_of_changes_of_one_revision_exactly_one_is_kept(self, database):
        draft = await added(database)

        async def save(number: int) -> bool:
            text = policy_draft.edit(draft, Edit(document=f"text {number}"), ALICE, NOON)
            return await moved(database, draft, text)

        assert sorted(await asyncio.gather(*(save(n) for n in range(20)))) == [False] * 19 + [True]

    async def test_approvals_that_hold_the_draft_are_all_kept(self, database):
        draft = await added(database)

        async def approve(number: int) -> None:
            async with database.transaction() as stores:
                held = await stores.drafts.hold(draft.id)
                approved = policy_draft.approve(
                    held, somebody(f"approver-{number}"), held.digest, STANDING, NOON
                )
                assert await stores.drafts.replace(approved, expected_revision=held.revision)

        await asyncio.gather(*(approve(number) for number in range(8)))
        assert len((await found(database, draft)).approvals) == 8

    async def test_what_was_not_committed_is_not_kept(self, database):
        draft = await added(database)

        async def save_and_fail() -> None:
            async with database.transaction() as stores:
                text = policy_draft.edit(draft, Edit(document="another"), BOB, NOON)
                await stores.drafts.replace(text, expected_revision=1)
                raise KeyError

        with pytest.raises(KeyError):
            await save_and_fail()
        assert await found(database, draft) == draft

    async def test_drafts_come_in_pages_newest_first_and_without_their_texts(self, database):
        drafts = [await added(database) for _ in range(5)]
        approved = policy_draft.approve(drafts[4], BOB, drafts[4].digest, STANDING, NOON)
        await moved(database, drafts[4], approved)
        async with database.transaction() as stores:
            newest = await stores.drafts.page(before=2**62, count=3)
            rest = await stores.drafts.page(before=newest[-1].id, count=3)

        assert [one.id for one in (*newest, *rest)] == [one.id for one in reversed(drafts)]
        assert newest[0].approvals == approved.approvals
        assert newest[0].authors == {"alice"}
        assert not any(hasattr(one, "document") for one in newest)

    async def test_the_authors_of_a_text_are_known_in_whatever_draft_it_stood(self, database):
        first = await added(database, begun("one"))
        second = await added(database, begun("two", by=BOB))
        await moved(database, second, policy_draft.edit(second, Edit(document="one"), CAROL, NOON))
        await moved(database, first, policy_draft.edit(first, Edit(document="x"), ALICE, NOON))

        async with database.transaction() as stores:
            authors = await stores.drafts.authors_of(policy_draft.digest_of("one"))
            assert set(authors) == {"alice", "bob", "carol"}
            assert set(await stores.drafts.authors_of(policy_draft.digest_of("two"))) == {"bob"}
            assert set(await stores.drafts.authors_of(policy_draft.digest_of("three"))) == set()

    async def test_a_draft_is_due_from_its_time_until_it_is_no_more_scheduled(self, database):
        draft = await added(database)
        planned = policy_draft.schedule(draft, NOON, ALICE, STANDING, NOON)
        await moved(database, draft, planned)
        later = await added(database)
        at = NOON - timedelta(seconds=1)
        await moved(database, later, policy_draft.schedule(later, at, ALICE, STANDING, NOON))
        await added(database)

        async with database.transaction() as stores:
            assert list(await stores.drafts.due(at - timedelta(seconds=1))) == []
            assert list(await stores.drafts.due(at)) == [later.id]
            assert list(await stores.drafts.due(NOON)) == [later.id, draft.id]
        await moved(database, planned, policy_draft.activate(planned, 1, STANDING, NOON))
        async with database.transaction() as stores:
            assert list(await stores.drafts.due(NOON)) == [later.id]
            assert (await stores.drafts.find(draft.id)).state is DraftState.ACTIVATED
