"""Drafts become versions: with enough approvals, in place of what was seen, now or at a time."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.administrator import Administrator, Scope
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    DependencyUnavailableError,
    InvalidRequestError,
    PolicyInvalidError,
)
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft
from stepup.domain.policy_errors import (
    ApprovalRequiredError,
    BaseChangedError,
    DraftClosedError,
    RevisionStaleError,
)
from stepup.ports import PolicyVersion
from stepup.usecases import activations, administrators, api_keys, drafts, policies, shadowing
from stepup.usecases.activations import Wanted
from stepup.usecases.drafts import NewDraft
from tests.support.memory_database import AwayDatabase
from tests.support.workshop import WorkshopHere
from tests.support.world import World
from tests.usecases.steps import kinds, last_audited
from tests.usecases.test_drafts import ALICE, BOB, CAROL, SHOP, text_of

HOUR = timedelta(hours=1)
UNREADABLE = "apiVersion: stepup/v9"


def needing(world: World, approvals: int) -> None:
    site = msgspec.structs.replace(world.site, policy_approvals=approvals)
    world.ports = world.ports._replace(site=site)


@pytest.fixture(autouse=True)
async def active(world: World) -> None:
    needing(world, 1)
    await policies.activate(world.ports, text_of("pay"), "first start")


async def drafted(world: World, text: str = text_of("sell"), *, approve: bool = True):
    draft = await drafts.begin(world.ports, NewDraft("a draft", text), ALICE)
    if not approve:
        return draft
    return await drafts.approve(world.ports, SHOP, draft.id, draft.digest, BOB)


async def activated(
    world: World, draft: PolicyDraft, expected_active: int | None = None
) -> PolicyVersion:
    wanted = Wanted(draft.revision, expected_active)
    return await activations.activate(world.ports, SHOP, draft.id, wanted, ALICE)


async def scheduled(world: World, draft: PolicyDraft, after: timedelta = HOUR) -> PolicyDraft:
    at = world.clock.now() + after
    wanted = Wanted(draft.revision)
    return await activations.schedule(world.ports, SHOP, draft.id, wanted, at, CAROL)


async def due(world: World) -> list[int]:
    return list(await activations.activate_due(world.ports, SHOP))


async def state_of(world: World, draft: PolicyDraft) -> PolicyDraft:
    return await drafts.get(world.ports, draft.id)


async def test_an_approved_draft_becomes_a_version_that_tells_of_it(world: World):
    draft = await drafted(world)
    version = await activated(world, draft)
    assert version == await policies.get_active(world.ports)
    assert (version.version, version.base, version.document) == (2, 1, text_of("sell"))
    assert (version.draft, version.approvers, version.note) == (draft.id, ("Bob",), "a draft")
    assert version.author == "Alice"

    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATED)
    assert event.details == {
        "version": 2,
        "author": "Alice",
        "by": "alice",
        "digest": draft.digest,
        "base": 1,
        "draft": draft.id,
        "approvers": "bob",
        "needed": 1,
    }
    done = await state_of(world, draft)
    assert (done.state, done.activated_as) == (DraftState.ACTIVATED, 2)
    with pytest.raises(DraftClosedError):
        await activated(world, done)


async def test_an_activation_is_announced(world: World):
    draft = await drafted(world)
    listening = world.ports.state.changes.listen()
    heard = asyncio.create_task(anext(listening))
    await asyncio.sleep(0)
    await activated(world, draft)
    await asyncio.wait_for(heard, 5)
    await listening.aclose()


async def test_without_approval_nothing_becomes_active(world: World):
    draft = await drafted(world, approve=False)
    with pytest.raises(ApprovalRequiredError):
        await activated(world, draft)
    assert (await policies.get_active(world.ports)).version == 1
    assert await state_of(world, draft) == draft


async def test_who_may_do_without_approvals_activates_at_once(world: World):
    needing(world, 0)
    version = await activated(world, await drafted(world, approve=False))
    assert (version.version, version.approvers) == (2, ())


async def test_an_approver_who_wrote_the_text_elsewhere_meanwhile_counts_no_more(world: World):
    draft = await drafted(world)
    await drafts.begin(world.ports, NewDraft("the same", draft.document), BOB)
    with pytest.raises(ApprovalRequiredError):
        await activated(world, draft)


async def test_what_was_changed_since_somebody_looked_is_not_activated(world: World):
    needing(world, 0)
    draft = await drafted(world, approve=False)
    await drafts.save(world.ports, draft.id, Edit(document=text_of("worse")), BOB, 1)
    with pytest.raises(RevisionStaleError):
        await activated(world, draft)


async def test_a_version_activated_while_another_is_being_approved_is_not_undone(world: World):
    first, second = await drafted(world, text_of("a")), await drafted(world, text_of("b"))
    await activated(world, first)
    with pytest.raises(BaseChangedError) as caught:
        await activated(world, second)
    assert caught.value.facts == {"base": 1, "active": 2}
    with pytest.raises(BaseChangedError):
        await drafts.approve(world.ports, SHOP, second.id, second.digest, CAROL)


async def test_whoever_knows_the_new_version_may_replace_it_but_not_on_old_approvals(world: World):
    first, second = await drafted(world, text_of("a")), await drafted(world, text_of("b"))
    await activated(world, first)
    with pytest.raises(BaseChangedError):
        await activated(world, second, expected_active=1)
    with pytest.raises(ApprovalRequiredError):
        await activated(world, second, expected_active=2)
    needing(world, 0)
    assert (await activated(world, second, expected_active=2)).base == 2


async def test_an_activated_draft_is_no_shadow_any_more(world: World):
    draft = await drafted(world)
    await shadowing.mark(world.ports, SHOP, draft.id, BOB)
    await activated(world, draft)
    assert await shadowing.find_shadow(world.ports) is None


async def test_a_text_that_this_release_cannot_read_is_not_activated(world: World):
    needing(world, 0)
    draft = await drafted(world, UNREADABLE, approve=False)
    with pytest.raises(PolicyInvalidError):
        await activated(world, draft)


# --- at a time --------------------------------------------------------------------------------


async def test_a_scheduled_draft_becomes_active_at_its_time(world: World):
    draft = await scheduled(world, await drafted(world))
    event = await last_audited(world.ports, AuditKind.POLICY_SCHEDULED)
    assert event.details["at"] == "2026-11-21T13:00:00+00:00"
    world.clock.advance(HOUR - timedelta(seconds=1))
    assert await due(world) == []
    world.clock.advance(timedelta(seconds=1))
    assert await due(world) == [draft.id]
    assert await due(world) == []

    version = await policies.get_active(world.ports)
    assert (version.version, version.draft, version.author) == (2, draft.id, "carol")
    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATED)
    assert (event.details["by"], event.details["approvers"]) == ("carol", "bob")


@pytest.mark.parametrize("after", [timedelta(0), -HOUR, timedelta(days=367)])
async def test_a_time_that_nobody_means_is_refused(world: World, after: timedelta):
    with pytest.raises(InvalidRequestError):
        await scheduled(world, await drafted(world), after)


async def test_what_is_not_approved_is_not_scheduled(world: World):
    with pytest.raises(ApprovalRequiredError):
        await scheduled(world, await drafted(world, approve=False))


async def test_a_canceled_schedule_comes_to_nothing(world: World):
    draft = await scheduled(world, await drafted(world))
    canceled = await activations.cancel(world.ports, draft.id, BOB)
    assert (canceled.state, canceled.schedule) == (DraftState.OPEN, None)
    await last_audited(world.ports, AuditKind.POLICY_UNSCHEDULED)
    world.clock.advance(2 * HOUR)
    assert await due(world) == []


async def test_an_approval_that_is_withdrawn_before_the_time_stops_it(world: World):
    draft = await scheduled(world, await drafted(world))
    await drafts.withdraw(world.ports, draft.id, BOB)
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    failed = await state_of(world, draft)
    assert (failed.state, failed.schedule) == (DraftState.OPEN, None)
    assert failed.failure.startswith("approval_required: ")
    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATION_FAILED)
    assert (event.details["draft"], event.details["reason"]) == (draft.id, "approval_required")
    assert (await policies.get_active(world.ports)).version == 1
    assert await due(world) == []


async def test_a_scheduled_draft_does_not_undo_what_became_active_meanwhile(world: World):
    draft = await scheduled(world, await drafted(world))
    await policies.force(world.ports, text_of("urgent"), "host", "an incident")
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    assert (await state_of(world, draft)).failure.startswith("base_changed: ")
    assert (await policies.get_active(world.ports)).document == text_of("urgent")


async def test_a_text_that_the_release_of_that_day_cannot_read_fails_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    draft = await scheduled(world, await drafted(world))

    async def refuse(_text: str, _workshop: object) -> None:
        raise PolicyInvalidError("an unknown field")

    monkeypatch.setattr(activations, "require_valid", refuse)
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    assert (await state_of(world, draft)).failure == "policy_invalid: an unknown field"


async def test_one_draft_that_makes_the_reader_fail_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    needing(world, 0)
    bad = await scheduled(world, await drafted(world, text_of("bad"), approve=False))
    good = await scheduled(world, await drafted(world, text_of("good"), approve=False))
    really = activations.require_valid

    async def fail(text: str, workshop: object) -> None:
        if "bad" in text:
            raise RecursionError
        await really(text, workshop)

    monkeypatch.setattr(activations, "require_valid", fail)
    world.clock.advance(HOUR)
    assert await due(world) == [bad.id, good.id]
    assert (await state_of(world, bad)).failure.startswith("internal_error")
    assert (await policies.get_active(world.ports)).document == text_of("good")


async def test_of_two_that_are_due_in_place_of_one_version_the_earlier_wins(world: World):
    first = await scheduled(world, await drafted(world, text_of("a")), HOUR)
    second = await scheduled(world, await drafted(world, text_of("b")), HOUR / 2)
    world.clock.advance(HOUR)
    assert await due(world) == [second.id, first.id]
    assert (await policies.get_active(world.ports)).document == text_of("b")
    assert (await state_of(world, first)).failure.startswith("base_changed: ")
    assert (await kinds(world.ports)).count(AuditKind.POLICY_ACTIVATED) == 2


async def test_the_schedule_is_kept_for_ever(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(activations, "LOOK_INTERVAL", timedelta(0))
    keeping = asyncio.create_task(activations.keep_schedule(world.ports, SHOP))
    draft = await scheduled(world, await drafted(world))
    world.clock.advance(HOUR)
    for _ in range(100):
        await asyncio.sleep(0)
    assert (await state_of(world, draft)).state is DraftState.ACTIVATED
    assert not keeping.done()
    keeping.cancel()


async def test_the_schedule_is_kept_while_the_database_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(activations, "LOOK_INTERVAL", timedelta(0))
    away = world.ports._replace(database=AwayDatabase(world.clock))
    keeping = asyncio.create_task(activations.keep_schedule(away, SHOP))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not keeping.done()
    keeping.cancel()


# --- who approved or planned it is no administrator any more -----------------------------------


async def appointed(world: World, sub: str, *scopes: Scope) -> Administrator:
    wanted = scopes or tuple(Scope)
    made = await administrators.appoint(world.ports, world.subject(sub), wanted, "host:root")
    return made.administrator


async def approved_by_dan(world: World) -> PolicyDraft:
    draft = await drafted(world, approve=False)
    dan = await appointed(world, "dan")
    return await drafts.approve(world.ports, SHOP, draft.id, draft.digest, dan)


async def test_an_approver_who_was_dismissed_does_not_count(world: World):
    draft = await approved_by_dan(world)
    await administrators.dismiss(world.ports, world.subject("dan"), "host:root")
    with pytest.raises(ApprovalRequiredError):
        await activated(world, draft)
    with pytest.raises(ApprovalRequiredError):
        await scheduled(world, draft)


async def test_an_approver_who_may_not_approve_any_more_does_not_count(world: World):
    draft = await approved_by_dan(world)
    await appointed(world, "dan", Scope.POLICY_READ)
    with pytest.raises(ApprovalRequiredError):
        await activated(world, draft)


async def test_an_approver_who_is_dismissed_before_the_time_stops_it(world: World):
    draft = await scheduled(world, await approved_by_dan(world))
    await administrators.dismiss(world.ports, world.subject("dan"), "host:root")
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    assert (await state_of(world, draft)).failure.startswith("approval_required: ")


async def test_an_appointed_approver_counts(world: World):
    assert (await activated(world, await approved_by_dan(world))).approvers == ("dan",)


async def test_what_somebody_planned_who_was_dismissed_since_comes_to_nothing(world: World):
    needing(world, 0)
    draft = await drafted(world, approve=False)
    dan = await appointed(world, "dan")
    at, wanted = world.clock.now() + HOUR, Wanted(draft.revision)
    await activations.schedule(world.ports, SHOP, draft.id, wanted, at, dan)
    await administrators.dismiss(world.ports, world.subject("dan"), "host:root")
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    assert (await state_of(world, draft)).failure.startswith("insufficient_scope: ")
    assert (await policies.get_active(world.ports)).version == 1


@pytest.mark.parametrize(("end", "version"), [("revoked", 1), ("expired", 2)])
async def test_what_a_stolen_key_planned_comes_to_nothing(world: World, end: str, version: int):
    needing(world, 0)
    draft = await drafted(world, approve=False)
    key = await api_keys.create(
        world.ports,
        world.keyring,
        "ci",
        [Scope.POLICY_ACTIVATE],
        expires_at=world.clock.now() + HOUR / 2,
        by="host:root",
    )
    at, wanted = world.clock.now() + HOUR, Wanted(draft.revision)
    by = key.key.administrator
    await activations.schedule(world.ports, SHOP, draft.id, wanted, at, by)
    if end == "revoked":
        await api_keys.revoke(world.ports, "ci", "host:root")
    world.clock.advance(HOUR)
    assert await due(world) == [draft.id]
    assert (await policies.get_active(world.ports)).version == version


async def test_one_that_ends_its_reader_keeps_no_other_from_its_time(world: World):
    class Fragile(WorkshopHere):
        async def run(self, work, *given, limit):
            if text_of("sell") in given:
                raise DependencyUnavailableError
            return await super().run(work, *given, limit=limit)

    needing(world, 0)
    await scheduled(world, await drafted(world, approve=False), HOUR)
    second = await scheduled(world, await drafted(world, text_of("buy"), approve=False), 2 * HOUR)
    world.clock.advance(2 * HOUR)
    assert await activations.activate_due(world.ports, Fragile()) == [second.id]
