"""Drafts: who counts as an approver, of what, and what voids it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.domain import policy_draft
from stepup.domain.administrator import Administrator, AdministratorKind
from stepup.domain.ids import AdministratorId
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft, Standing
from stepup.domain.policy_errors import (
    ApprovalRequiredError,
    BaseChangedError,
    DigestChangedError,
    DraftClosedError,
    DraftScheduledError,
    OwnDraftError,
    PersonRequiredError,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def somebody(name: str) -> Administrator:
    return Administrator(id=AdministratorId(name), name=name.title(), scopes=frozenset())


ALICE, BOB, CAROL, DAVE = map(somebody, ("alice", "bob", "carol", "dave"))


def begun(document: str = "a text") -> PolicyDraft:
    """Alice's draft in place of version 3."""
    return policy_draft.begin(document, "a draft", 3, ALICE, NOW)


def standing(needed: int = 1, active: int = 3, text_authors: tuple = ()) -> Standing:
    return Standing(active, needed, [one.id for one in text_authors])


def approved(
    draft: PolicyDraft, *by: Administrator, digest: str | None = None, **stands: object
) -> PolicyDraft:
    for one in by:
        draft = policy_draft.approve(draft, one, digest or draft.digest, standing(**stands), NOW)
    return draft


def edited(draft: PolicyDraft, by: Administrator, **change: object) -> PolicyDraft:
    return policy_draft.edit(draft, Edit(**change), by, LATER)


def counted(draft: PolicyDraft, *text_authors: Administrator) -> set[str]:
    return {approval.by for approval in draft.counted([one.id for one in text_authors])}


WHO_COUNTS = {
    "nobody has approved": (begun, set()),
    "a second administrator": (lambda: approved(begun(), BOB), {"bob"}),
    "two others": (lambda: approved(begun(), BOB, CAROL), {"bob", "carol"}),
    "the same one twice counts once": (lambda: approved(begun(), BOB, BOB), {"bob"}),
    "an edit voids what was approved": (
        lambda: edited(approved(begun(), BOB), ALICE, document="another"),
        set(),
    ),
    "an approval does not come back with the text": (
        lambda: edited(
            edited(approved(begun(), BOB), ALICE, document="x"), ALICE, document="a text"
        ),
        set(),
    ),
    "an approver who edits is an author": (
        lambda: approved(edited(approved(begun(), BOB, CAROL), BOB, document="another"), CAROL),
        {"carol"},
    ),
    "a new name voids nothing": (
        lambda: edited(approved(begun(), BOB), CAROL, name="new"),
        {"bob"},
    ),
    "who renames is no author": (
        lambda: approved(edited(begun(), BOB, name="new"), BOB),
        {"bob"},
    ),
    "saving the same text makes nobody an author": (
        lambda: approved(edited(begun(), BOB, document="a text"), BOB),
        {"bob"},
    ),
    "another base voids what was approved": (
        lambda: edited(approved(begun(), BOB), ALICE, base=4),
        set(),
    ),
    "what is taken back does not count": (
        lambda: policy_draft.withdraw(approved(begun(), BOB, CAROL), BOB, NOW),
        {"carol"},
    ),
}


@pytest.mark.parametrize(("make", "expected"), WHO_COUNTS.values(), ids=WHO_COUNTS)
def test_who_counts(make, expected: set[str]):
    assert counted(make()) == expected


AUTHORS = {
    "the creator": (begun, ALICE),
    "a later editor": (lambda: edited(begun(), BOB, document="another"), BOB),
    "the creator after others have rewritten all of it": (
        lambda: edited(begun(), BOB, document="another"),
        ALICE,
    ),
    "an editor whose words are gone again": (
        lambda: edited(edited(begun(), BOB, document="x"), CAROL, document="y"),
        BOB,
    ),
    "the creator under a new name of the draft": (lambda: edited(begun(), BOB, name="new"), ALICE),
    "an author of the draft it was copied from": (
        lambda: policy_draft.begin("a text", "copy", 3, BOB, NOW, source=begun()),
        ALICE,
    ),
    "who copied it": (
        lambda: policy_draft.begin("a text", "copy", 3, BOB, NOW, source=begun()),
        BOB,
    ),
}


@pytest.mark.parametrize(("make", "author"), AUTHORS.values(), ids=AUTHORS)
def test_an_author_never_approves_his_own_text(make, author: Administrator):
    with pytest.raises(OwnDraftError):
        approved(make(), author)


def test_an_author_of_the_same_text_elsewhere_does_not_approve_it():
    with pytest.raises(OwnDraftError):
        approved(begun(), BOB, text_authors=(BOB,))


def test_a_pipeline_approves_nothing():
    pipeline = msgspec.structs.replace(BOB, kind=AdministratorKind.KEY)
    with pytest.raises(PersonRequiredError):
        approved(begun(), pipeline)


def test_who_writes_the_same_text_after_approving_it_counts_no_more():
    draft = approved(begun(), BOB)
    assert counted(draft, BOB) == set()
    with pytest.raises(ApprovalRequiredError):
        policy_draft.activate(draft, 4, standing(text_authors=(BOB,)), NOW)


def test_an_approval_of_an_old_text_is_refused_with_the_digest_of_the_new_one():
    draft = edited(begun(), ALICE, document="another")
    with pytest.raises(DigestChangedError) as caught:
        approved(draft, BOB, digest=begun().digest)
    assert caught.value.facts == {"digest": draft.digest}


def test_what_would_undo_another_version_is_not_approved():
    with pytest.raises(BaseChangedError) as caught:
        approved(begun(), BOB, active=4)
    assert caught.value.facts == {"base": 3, "active": 4}


@pytest.mark.parametrize(("approvers", "needed"), [((), 0), ((BOB,), 1), ((BOB, CAROL), 2)])
def test_enough_approvals_activate(approvers: tuple, needed: int):
    draft = approved(begun(), *approvers)
    active = policy_draft.activate(draft, 4, standing(needed), LATER)
    assert (active.state, active.activated_as) == (DraftState.ACTIVATED, 4)
    assert (active.document, active.digest) == (draft.document, draft.digest)


@pytest.mark.parametrize(("approvers", "needed"), [((), 1), ((BOB,), 2), ((BOB, BOB), 2)])
def test_too_few_do_not(approvers: tuple, needed: int):
    draft = approved(begun(), *approvers)
    for attempt in (
        lambda: policy_draft.activate(draft, 4, standing(needed), NOW),
        lambda: policy_draft.schedule(draft, LATER, DAVE, standing(needed), NOW),
    ):
        with pytest.raises(ApprovalRequiredError) as caught:
            attempt()
        assert caught.value.facts == {"approvals": len(set(approvers)), "needed": needed}


def test_a_version_that_became_active_meanwhile_is_not_undone_unseen():
    with pytest.raises(BaseChangedError):
        policy_draft.activate(approved(begun(), BOB), 5, standing(active=4), NOW)


def test_a_draft_on_a_new_base_must_be_approved_again():
    draft = edited(approved(begun(), BOB), ALICE, base=4)
    with pytest.raises(ApprovalRequiredError):
        policy_draft.activate(draft, 5, standing(active=4), NOW)
    again = approved(draft, BOB, active=4)
    assert policy_draft.activate(again, 5, standing(active=4), NOW).activated_as == 5


def scheduled() -> PolicyDraft:
    return policy_draft.schedule(approved(begun(), BOB), LATER, CAROL, standing(), NOW)


def test_a_scheduled_draft_becomes_active_at_its_time_and_not_otherwise():
    draft = scheduled()
    assert draft.schedule is not None
    assert (draft.schedule.at, draft.schedule.by) == (LATER, "carol")
    assert policy_draft.activate(draft, 4, standing(), LATER).state is DraftState.ACTIVATED
    # An approver thought better of it: what is checked at the time is not what was then.
    withdrawn = policy_draft.withdraw(draft, BOB, NOW)
    with pytest.raises(ApprovalRequiredError):
        policy_draft.activate(withdrawn, 4, standing(), LATER)


def test_what_is_scheduled_is_not_changed():
    with pytest.raises(DraftScheduledError):
        edited(scheduled(), ALICE, document="another")
    with pytest.raises(DraftScheduledError):
        policy_draft.discard(scheduled(), NOW)


def test_a_schedule_can_be_taken_back_and_says_why_it_failed():
    canceled = policy_draft.unschedule(scheduled(), NOW)
    assert (canceled.state, canceled.schedule, canceled.failure) == (DraftState.OPEN, None, None)
    failed = policy_draft.unschedule(scheduled(), NOW, "base_changed")
    assert (failed.state, failed.failure) == (DraftState.OPEN, "base_changed")
    assert counted(failed) == {"bob"}
    assert edited(failed, ALICE, document="another").failure is None


def test_every_change_is_a_new_revision_and_nothing_else_is():
    draft = begun()
    assert draft.revision == 1
    assert edited(draft, BOB, name="new").revision == 2
    once = approved(draft, BOB)
    assert once.revision == 2
    assert approved(once, BOB) is once
    assert policy_draft.withdraw(draft, BOB, NOW) is draft
    assert policy_draft.unschedule(draft, NOW) is draft


CLOSED = {
    "activated": policy_draft.activate(begun(), 4, standing(0), NOW),
    "discarded": policy_draft.discard(begun(), NOW),
}


@pytest.mark.parametrize("draft", CLOSED.values(), ids=CLOSED)
def test_a_closed_draft_stays_as_it_is(draft: PolicyDraft):
    for attempt in (
        lambda: edited(draft, ALICE, document="another"),
        lambda: approved(draft, BOB),
        lambda: policy_draft.withdraw(draft, BOB, NOW),
        lambda: policy_draft.activate(draft, 5, standing(0), NOW),
        lambda: policy_draft.schedule(draft, LATER, CAROL, standing(0), NOW),
        lambda: policy_draft.unschedule(draft, NOW),
    ):
        with pytest.raises(DraftClosedError):
            attempt()


def test_discarding_twice_is_discarding_and_an_activated_one_is_not_discarded():
    discarded = CLOSED["discarded"]
    assert policy_draft.discard(discarded, LATER) is discarded
    with pytest.raises(DraftClosedError):
        policy_draft.discard(CLOSED["activated"], NOW)


def test_a_draft_is_a_header_with_a_text():
    assert msgspec.json.decode(msgspec.json.encode(begun()), type=PolicyDraft) == begun()
