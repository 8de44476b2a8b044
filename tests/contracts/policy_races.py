"""What holds of a policy's life when several do something at once, over any database."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from stepup.domain.administrator import Administrator
from stepup.domain.audit import AuditKind
from stepup.domain.errors import StepUpError
from stepup.domain.ids import AdministratorId
from stepup.domain.policy_draft import DraftState, Edit, PolicyDraft
from stepup.domain.policy_errors import RevisionStaleError
from stepup.ports import PolicyVersion, Ports
from stepup.usecases import activations, drafts, policies
from stepup.usecases.activations import Wanted
from stepup.usecases.drafts import NewDraft
from tests.support.workshop import WorkshopHere

SHOP = WorkshopHere()


def somebody(name: str) -> Administrator:
    return Administrator(id=AdministratorId(name), name=name.title(), scopes=frozenset())


ALICE, BOB, CAROL = map(somebody, ("alice", "bob", "carol"))


def text_of(action: str) -> str:
    return f"apiVersion: stepup/v1\nactions:\n  {action}: {{default: allow}}\n"


async def drafted(ports: Ports, action: str = "sell", *, approve: bool = True) -> PolicyDraft:
    draft = await drafts.begin(ports, NewDraft("a draft", text_of(action)), ALICE)
    if not approve:
        return draft
    return await drafts.approve(ports, SHOP, draft.id, draft.digest, BOB)


def activation(ports: Ports, draft: PolicyDraft) -> Awaitable[PolicyVersion]:
    return activations.activate(ports, SHOP, draft.id, Wanted(draft.revision), ALICE)


async def at_once(*works: Awaitable[object]) -> list[object]:
    """Do everything at once; refusals are values, anything else is raised."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException) and not isinstance(one, StepUpError):
            raise one
    return done


def refusals(done: list[object]) -> list[StepUpError]:
    return [one for one in done if isinstance(one, StepUpError)]


async def count(ports: Ports, kind: AuditKind) -> int:
    async with ports.database.transaction() as stores:
        written = await stores.audit.written(after=0, count=1000)
    return [record.kind for record in written].count(kind)


class PolicyRaces:
    """Subclass it and provide `ports`, in which one other must approve."""

    @pytest.fixture(autouse=True)
    async def active(self, ports):
        await policies.activate(ports, text_of("pay"), "first start")

    async def test_of_two_who_save_at_once_one_wins_and_the_other_is_told(self, ports):
        draft = await drafted(ports, approve=False)
        done = await at_once(
            *(
                drafts.save(ports, draft.id, Edit(document=text_of(f"a{n}")), ALICE, 1)
                for n in range(5)
            )
        )
        assert [type(one) for one in refusals(done)] == [RevisionStaleError] * 4
        assert {one.revision for one in refusals(done)} == {2}
        assert (await drafts.get(ports, draft.id)).revision == 2
        assert await count(ports, AuditKind.POLICY_EDITED) == 1

    async def test_an_approval_and_an_edit_at_once_never_approve_what_nobody_read(self, ports):
        for number in range(8):
            draft = await drafted(ports, f"a{number}", approve=False)
            edit = Edit(document=text_of(f"b{number}"))
            await at_once(
                drafts.approve(ports, SHOP, draft.id, draft.digest, BOB),
                drafts.save(ports, draft.id, edit, ALICE, draft.revision),
            )
            now = await drafts.get(ports, draft.id)
            # Either the edit came first and the approval was of an old text, or it voided it, or
            # it was of a revision that the approval had made old.
            assert {approval.digest for approval in now.approvals} <= {now.digest}
            if now.document != draft.document:
                assert now.approvals == ()

    async def test_one_draft_activated_many_times_at_once_is_one_version(self, ports):
        draft = await drafted(ports)
        done = await at_once(*(activation(ports, draft) for _ in range(5)))
        assert len(refusals(done)) == 4
        assert (await policies.get_active(ports)).version == 2
        assert (await drafts.get(ports, draft.id)).activated_as == 2
        assert await count(ports, AuditKind.POLICY_ACTIVATED) == 2

    async def test_of_many_drafts_in_place_of_one_version_one_becomes_active(self, ports):
        waiting = [await drafted(ports, f"a{number}") for number in range(5)]
        done = await at_once(*(activation(ports, draft) for draft in waiting))
        [version] = [one for one in done if isinstance(one, PolicyVersion)]
        assert {one.code for one in refusals(done)} == {"base_changed"}
        active = await policies.get_active(ports)
        assert (active.version, active.document) == (2, version.document)
        states = [(await drafts.get(ports, draft.id)).state for draft in waiting]
        assert states.count(DraftState.ACTIVATED) == 1

    async def test_an_activation_and_an_edit_at_once_never_activate_what_nobody_approved(
        self, ports
    ):
        for number in range(6):
            active = await policies.get_active(ports)
            draft = await drafted(ports, f"a{number}")
            edit = Edit(document=text_of(f"b{number}"))
            await at_once(
                activation(ports, draft),
                drafts.save(ports, draft.id, edit, ALICE, draft.revision),
            )
            now = await policies.get_active(ports)
            left = await drafts.get(ports, draft.id)
            if left.state is DraftState.ACTIVATED:
                assert now.document == left.document == draft.document
            else:
                assert now == active
                assert left.approvals == ()

    async def test_a_withdrawal_and_an_activation_at_once_agree_on_who_was_first(self, ports):
        for number in range(6):
            draft = await drafted(ports, f"a{number}")
            [activated, withdrawn] = await at_once(
                activation(ports, draft), drafts.withdraw(ports, draft.id, BOB)
            )
            assert isinstance(activated, StepUpError) != isinstance(withdrawn, StepUpError)

    async def test_a_draft_and_a_rollback_at_once_never_make_a_version_of_an_old_base(self, ports):
        await activation(ports, await drafted(ports, "first"))
        await activation(ports, await drafted(ports, "second"))
        draft = await drafted(ports, "third")
        await at_once(
            activation(ports, draft), policies.roll_back(ports, SHOP, 2, CAROL, "a mistake")
        )
        active = await policies.get_active(ports)
        made = await drafts.get(ports, draft.id)
        # Whoever was second saw what was first: the draft is refused, the rollback follows it.
        if made.activated_as is not None:
            assert made.activated_as == 4
        assert active.rolled_back_from == 2

    async def test_what_is_due_is_activated_once_by_however_many_instances(self, ports):
        draft = await drafted(ports)
        async with ports.database.transaction() as stores:
            held = await stores.drafts.hold(draft.id)
            now = await stores.keys.now()
        at = max(now, ports.clock.now()) + timedelta(milliseconds=300)
        wanted = Wanted(held.revision)
        await activations.schedule(ports, SHOP, draft.id, wanted, at, ALICE)
        await self.reach(ports, at)

        done = await at_once(*(activations.activate_due(ports, SHOP) for _ in range(5)))
        assert refusals(done) == []
        if (await drafts.get(ports, draft.id)).state is DraftState.SCHEDULED:
            await activations.activate_due(ports, SHOP)
        assert (await policies.get_active(ports)).version == 2
        assert await count(ports, AuditKind.POLICY_ACTIVATED) == 2
        assert await count(ports, AuditKind.POLICY_ACTIVATION_FAILED) == 0

    async def reach(self, ports, at) -> None:
        """Let time pass until then."""
        raise NotImplementedError
