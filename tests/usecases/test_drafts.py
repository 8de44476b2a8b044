"""Drafts: kept with their authors, approved by others, each change in the audit log."""

import msgspec
import pytest

from stepup.domain.administrator import Administrator
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    BodyTooLargeError,
    DependencyUnavailableError,
    InvalidRequestError,
    PolicyInvalidError,
)
from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft
from stepup.domain.policy_errors import (
    BaseChangedError,
    DigestChangedError,
    DraftNotFoundError,
    OwnDraftError,
    RevisionStaleError,
)
from stepup.usecases import drafts, policies, shadowing
from stepup.usecases.drafts import NewDraft
from tests.support.memory_database import AwayDatabase
from tests.support.workshop import WorkshopHere
from tests.support.world import World
from tests.usecases.steps import kinds, last_audited

SHOP = WorkshopHere()


def text_of(action: str) -> str:
    return f"apiVersion: stepup/v1\nactions:\n  {action}: {{default: allow}}\n"


def somebody(name: str) -> Administrator:
    return Administrator(id=AdministratorId(name), name=name.title(), scopes=frozenset())


ALICE, BOB, CAROL = map(somebody, ("alice", "bob", "carol"))


@pytest.fixture
def world() -> World:
    """A deployment in which one other must approve, with an active version."""
    world = World()
    site = msgspec.structs.replace(world.site, policy_approvals=1)
    world.ports = world.ports._replace(site=site)
    return world


@pytest.fixture(autouse=True)
async def active(world: World) -> None:
    await policies.activate(world.ports, text_of("pay"), "first start")


async def begun(world: World, text: str = text_of("sell"), by: Administrator = ALICE):
    return await drafts.begin(world.ports, NewDraft("a draft", text), by)


async def approved(world: World, draft: PolicyDraft, by: Administrator = BOB) -> PolicyDraft:
    return await drafts.approve(world.ports, SHOP, draft.id, draft.digest, by)


async def test_a_draft_begins_in_place_of_the_active_version(world: World):
    draft = await begun(world)
    assert (draft.base, draft.revision, draft.state) == (1, 1, DraftState.OPEN)
    assert await drafts.get(world.ports, draft.id) == draft
    event = await last_audited(world.ports, AuditKind.POLICY_DRAFTED)
    assert event.details == {"draft": draft.id, "by": "alice", "digest": draft.digest, "base": 1}


async def test_a_draft_without_a_text_begins_with_the_active_one(world: World):
    draft = await drafts.begin(world.ports, NewDraft("a draft"), ALICE)
    assert draft.document == text_of("pay")


async def test_a_copy_keeps_the_authors_and_tells_where_it_is_from(world: World):
    draft = await begun(world)
    copy = await drafts.begin(world.ports, NewDraft("a copy", copy_of=draft.id), BOB)
    assert (copy.document, copy.authors) == (draft.document, {"alice", "bob"})
    event = await last_audited(world.ports, AuditKind.POLICY_DRAFTED)
    assert event.details["copy_of"] == draft.id


async def test_an_author_does_not_approve_the_text_that_somebody_pasted_elsewhere(world: World):
    written_by_alice = await begun(world)
    pasted = await begun(world, written_by_alice.document, by=BOB)
    with pytest.raises(OwnDraftError):
        await approved(world, pasted, by=ALICE)
    assert len((await approved(world, pasted, by=CAROL)).approvals) == 1


async def test_of_two_who_save_one_revision_the_second_loses_nothing(world: World):
    draft = await begun(world)
    saved = await drafts.save(world.ports, draft.id, Edit(document=text_of("a")), BOB, 1)
    with pytest.raises(RevisionStaleError) as caught:
        await drafts.save(world.ports, draft.id, Edit(document=text_of("b")), CAROL, 1)
    assert caught.value.revision == saved.revision == 2
    assert (await drafts.get(world.ports, draft.id)).document == text_of("a")


async def test_an_edit_says_how_many_approvals_it_voided(world: World):
    draft = await approved(world, await begun(world))
    edit = Edit(document=text_of("other"))
    edited = await drafts.save(world.ports, draft.id, edit, ALICE, draft.revision)
    assert edited.approvals == ()
    event = await last_audited(world.ports, AuditKind.POLICY_EDITED)
    assert event.details == {
        "draft": draft.id,
        "by": "alice",
        "digest": edited.digest,
        "base": 1,
        "voided": 1,
    }


async def test_a_draft_is_based_on_the_active_version_or_on_none(world: World):
    draft = await begun(world)
    with pytest.raises(BaseChangedError):
        await drafts.save(world.ports, draft.id, Edit(base=7), ALICE, 1)
    await policies.force(world.ports, text_of("urgent"), "host", "an incident")
    rebased = await drafts.save(world.ports, draft.id, Edit(base=2), ALICE, 1)
    assert rebased.base == 2


async def test_what_cannot_be_read_may_be_saved_and_is_not_approved(world: World):
    draft = await begun(world, "apiVersion: stepup/v1\nactions: [")
    with pytest.raises(PolicyInvalidError) as caught:
        await approved(world, draft)
    assert caught.value.findings
    with pytest.raises(PolicyInvalidError):
        await shadowing.mark(world.ports, SHOP, draft.id, BOB)


BAD = {
    "NUL": ("\0", InvalidRequestError),
    "longer than any document": ("x" * (1024 * 1024 + 1), BodyTooLargeError),
    "longer in bytes": ("ü" * (512 * 1024 + 1), BodyTooLargeError),
}


@pytest.mark.parametrize(("text", "error"), BAD.values(), ids=BAD)
async def test_what_cannot_be_kept_is_refused(world: World, text: str, error: type):
    with pytest.raises(error):
        await begun(world, text)
    draft = await begun(world)
    with pytest.raises(error):
        await drafts.save(world.ports, draft.id, Edit(document=text), ALICE, 1)


async def test_an_approval_is_recorded_with_the_digest_and_can_be_taken_back(world: World):
    draft = await approved(world, await begun(world))
    [approval] = draft.approvals
    assert (approval.by, approval.name, approval.digest) == ("bob", "Bob", draft.digest)
    event = await last_audited(world.ports, AuditKind.POLICY_APPROVED)
    assert event.details == {"draft": draft.id, "by": "bob", "digest": draft.digest, "base": 1}

    assert await approved(world, draft) == draft
    assert (await kinds(world.ports)).count(AuditKind.POLICY_APPROVED) == 1

    assert (await drafts.withdraw(world.ports, draft.id, BOB)).approvals == ()
    await last_audited(world.ports, AuditKind.POLICY_APPROVAL_WITHDRAWN)


async def test_what_somebody_read_a_moment_ago_is_not_what_he_approves_now(world: World):
    draft = await begun(world)
    await drafts.save(world.ports, draft.id, Edit(document=text_of("worse")), ALICE, 1)
    with pytest.raises(DigestChangedError) as caught:
        await approved(world, draft)
    assert caught.value.digest == (await drafts.get(world.ports, draft.id)).digest


async def test_a_discarded_draft_is_no_shadow_any_more(world: World):
    draft = await begun(world)
    await shadowing.mark(world.ports, SHOP, draft.id, BOB)
    assert (await shadowing.find_shadow(world.ports)).document == draft.document
    await drafts.discard(world.ports, draft.id, ALICE, 1)
    assert await shadowing.find_shadow(world.ports) is None
    assert (await drafts.get(world.ports, draft.id)).state is DraftState.DISCARDED
    await last_audited(world.ports, AuditKind.POLICY_DISCARDED)


async def test_a_shadow_keeps_the_text_that_was_marked(world: World):
    draft = await begun(world)
    await shadowing.mark(world.ports, SHOP, draft.id, BOB)
    await last_audited(world.ports, AuditKind.POLICY_SHADOWED)
    await drafts.save(world.ports, draft.id, Edit(document=text_of("later")), ALICE, 1)
    shadow = await shadowing.find_shadow(world.ports)
    assert (shadow.draft, shadow.digest, shadow.by) == (draft.id, draft.digest, "bob")

    other = await begun(world, text_of("other"))
    assert not await shadowing.unmark(world.ports, other.id, BOB)
    assert await shadowing.unmark(world.ports, draft.id, CAROL)
    assert not await shadowing.unmark(world.ports, draft.id, CAROL)
    event = await last_audited(world.ports, AuditKind.POLICY_UNSHADOWED)
    assert event.details["by"] == "carol"


async def test_drafts_are_listed_newest_first(world: World):
    first, second = await begun(world), await begun(world)
    listed = await drafts.list_drafts(world.ports, before=2**62, count=10)
    assert [draft.id for draft in listed] == [second.id, first.id]


async def test_what_is_not_there_is_not_found(world: World):
    nowhere = DraftId(99)
    for ask in (
        lambda: drafts.get(world.ports, nowhere),
        lambda: drafts.save(world.ports, nowhere, Edit(name="x"), ALICE, 1),
        lambda: drafts.approve(world.ports, SHOP, nowhere, "d", BOB),
        lambda: drafts.withdraw(world.ports, nowhere, BOB),
        lambda: drafts.discard(world.ports, nowhere, BOB, 1),
        lambda: drafts.begin(world.ports, NewDraft("copy", copy_of=nowhere), BOB),
        lambda: shadowing.mark(world.ports, SHOP, nowhere, BOB),
        lambda: shadowing.unmark(world.ports, nowhere, BOB),
    ):
        with pytest.raises(DraftNotFoundError):
            await ask()


async def test_while_the_database_is_away_nothing_is_half_done(world: World):
    away = world.ports._replace(database=AwayDatabase(world.clock))
    for ask in (
        lambda: drafts.begin(away, NewDraft("a draft", text_of("x")), ALICE),
        lambda: drafts.list_drafts(away, before=1, count=1),
        lambda: drafts.approve(away, SHOP, DraftId(1), "d", BOB),
    ):
        with pytest.raises(DependencyUnavailableError):
            await ask()
