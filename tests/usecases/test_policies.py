"""Policy documents: checked, kept as versions, announced."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.administrator import DEVELOPER
from stepup.domain.audit import AuditKind
from stepup.domain.errors import PolicyInvalidError, PolicyNotFoundError
from stepup.domain.policy_draft import digest_of
from stepup.domain.policy_errors import (
    AlreadyActiveError,
    ApprovalRequiredError,
    VersionNotFoundError,
    VersionStaleError,
)
from stepup.policy_language import document
from stepup.ports import Origin, PolicyVersion
from stepup.usecases import policies
from tests.support.workshop import WorkshopHere
from tests.support.world import World
from tests.usecases.steps import kinds, last_audited

TEXT = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"


async def test_an_activated_document_is_the_active_version(world: World):
    assert await policies.find_active(world.ports) is None
    version = await policies.activate(world.ports, TEXT, "carol")

    assert version == await policies.get_active(world.ports)
    assert (version.version, version.document, version.author) == (1, TEXT, "carol")
    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATED)
    assert event.details == {
        "version": 1,
        "author": "carol",
        "base": 0,
        "digest": digest_of(TEXT),
    }


async def test_before_the_first_one_there_is_none(world: World):
    with pytest.raises(PolicyNotFoundError):
        await policies.get_active(world.ports)


@pytest.mark.parametrize("text", ["", "[]", "apiVersion: stepup/v2", TEXT + "surprise: 1\n", "\0"])
async def test_a_document_with_errors_is_not_kept(world: World, text: str):
    await policies.activate(world.ports, TEXT, "carol")
    with pytest.raises(PolicyInvalidError) as caught:
        await policies.activate(world.ports, text, "carol")

    assert caught.value.findings
    assert (await policies.get_active(world.ports)).version == 1
    assert (await kinds(world.ports)).count(AuditKind.POLICY_ACTIVATED) == 1


async def test_two_at_once_get_two_numbers(world: World):
    versions = await asyncio.gather(
        *(policies.activate(world.ports, TEXT, f"admin-{n}") for n in range(20))
    )

    assert sorted(v.version for v in versions) == list(range(1, 21))


async def test_activation_is_announced(world: World):
    listening = world.ports.state.changes.listen()
    heard = asyncio.create_task(anext(listening))
    await asyncio.sleep(0)
    await policies.activate(world.ports, TEXT, "carol")

    await asyncio.wait_for(heard, 5)
    await listening.aclose()


# --- when others must approve -----------------------------------------------------------------


@pytest.fixture
def guarded(world: World) -> World:
    site = msgspec.structs.replace(world.site, policy_approvals=1)
    world.ports = world.ports._replace(site=site)
    return world


async def test_the_first_policy_needs_no_approval_and_the_second_does(guarded: World):
    await policies.activate(guarded.ports, TEXT, "first start")
    with pytest.raises(ApprovalRequiredError) as caught:
        await policies.activate(guarded.ports, TEXT, "carol")
    assert caught.value.facts == {"approvals": 0, "needed": 1}
    assert (await policies.get_active(guarded.ports)).version == 1


async def test_of_many_first_policies_at_once_one_needs_no_approval(guarded: World):
    done = await asyncio.gather(
        *(policies.activate(guarded.ports, TEXT, f"admin-{n}") for n in range(10)),
        return_exceptions=True,
    )
    refused = [one for one in done if isinstance(one, ApprovalRequiredError)]
    assert len(refused) == 9


async def test_in_an_emergency_the_host_does_without_and_the_log_says_so(guarded: World):
    await policies.activate(guarded.ports, TEXT, "first start")
    version = await policies.force(guarded.ports, TEXT, "root", "the approver is ill")
    assert (version.version, version.approvers) == (2, ())
    assert version.note == "without approval: the approver is ill"
    event = await last_audited(guarded.ports, AuditKind.POLICY_FORCED)
    assert event.details == {"version": 2, "author": "root", "reason": "the approver is ill"}
    with pytest.raises(PolicyInvalidError):
        await policies.force(guarded.ports, "nonsense", "root", "because")


# --- back to an earlier one -------------------------------------------------------------------


async def versions(world: World, *approvals: int) -> None:
    """Make versions that so many others have approved."""
    for number, count in enumerate(approvals, 1):
        approvers = tuple(f"approver-{n}" for n in range(count))
        async with world.ports.database.transaction() as stores:
            text = TEXT + f"# {number}\n"
            now = world.clock.now()
            await stores.policies.activate(text, "alice", now, Origin(approvers=approvers))


async def rolled_back(world: World, number: int) -> PolicyVersion:
    return await policies.roll_back(world.ports, WorkshopHere(), number, DEVELOPER, "a mistake")


async def test_a_rollback_is_a_new_version_with_the_old_text(guarded: World):
    await versions(guarded, 1, 2)
    version = await rolled_back(guarded, 1)
    assert (version.version, version.document) == (3, TEXT + "# 1\n")
    assert (version.rolled_back_from, version.base, version.note) == (1, 2, "a mistake")
    assert version.approvers == ("approver-0",)
    event = await last_audited(guarded.ports, AuditKind.POLICY_ROLLED_BACK)
    assert event.details == {
        "version": 3,
        "rolled_back_from": 1,
        "by": "development",
        "digest": version.digest,
    }
    # And back again: what was undone had been approved as well.
    assert (await rolled_back(guarded, 2)).document == TEXT + "# 2\n"


async def test_a_rollback_to_what_nobody_approved_is_refused(guarded: World):
    await versions(guarded, 0, 1)
    with pytest.raises(ApprovalRequiredError) as caught:
        await rolled_back(guarded, 1)
    assert caught.value.facts == {"approvals": 0, "needed": 1}


async def test_a_rollback_to_rules_long_gone_is_refused(guarded: World):
    await versions(guarded, 1, 1)
    guarded.clock.advance(policies.ROLLBACK_WINDOW + timedelta(seconds=1))
    await versions(guarded, 1)
    with pytest.raises(ApprovalRequiredError):
        await rolled_back(guarded, 1)
    # However long ago: undoing the last change is no new policy.
    guarded.clock.advance(policies.ROLLBACK_WINDOW * 2)
    assert (await rolled_back(guarded, 2)).rolled_back_from == 2


async def test_a_rollback_within_the_window_reaches_over_several_versions(guarded: World):
    await versions(guarded, 1, 1, 1)
    guarded.clock.advance(policies.ROLLBACK_WINDOW)
    assert (await rolled_back(guarded, 1)).rolled_back_from == 1


async def test_without_approvals_every_rollback_is_immediate(world: World):
    await versions(world, 0, 0, 0)
    world.clock.advance(policies.ROLLBACK_WINDOW * 9)
    assert (await rolled_back(world, 1)).version == 4


async def test_a_version_that_this_release_cannot_read_is_no_way_back(world: World):
    async with world.ports.database.transaction() as stores:
        await stores.policies.activate("apiVersion: stepup/v0", "alice", world.clock.now())
    await versions(world, 0)
    with pytest.raises(PolicyInvalidError) as caught:
        await rolled_back(world, 1)
    assert caught.value.findings
    assert (await policies.get_active(world.ports)).version == 2


async def test_there_is_no_way_back_to_the_active_version_or_to_none(world: World):
    await versions(world, 0)
    with pytest.raises(AlreadyActiveError):
        await rolled_back(world, 1)
    with pytest.raises(VersionNotFoundError):
        await rolled_back(world, 7)


async def test_versions_are_listed_newest_first(world: World):
    await versions(world, 0, 1, 0)
    newest = await policies.list_versions(world.ports, before=2**31 - 1, count=2)
    assert [one.version for one in newest] == [3, 2]
    assert (await policies.get_version(world.ports, 2)).approvers == ("approver-0",)


def test_the_demo_bank_s_document_is_without_findings():
    assert document.check(policies.development_document()) == []


async def test_of_many_first_versions_at_once_one_is_the_first(world: World):
    done = await asyncio.gather(
        *(policies.activate(world.ports, TEXT, f"ci-{n}", replacing=0) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(one) for one in done].count(VersionStaleError) == 9
    assert (await policies.get_active(world.ports)).version == 1
