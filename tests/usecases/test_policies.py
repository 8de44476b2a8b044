"""Policy documents: checked, kept as versions, announced."""

import asyncio

import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.errors import PolicyInvalidError, PolicyNotFoundError
from stepup.policy_language import document
from stepup.usecases import policies
from tests.support.world import World
from tests.usecases.steps import kinds, last_audited

TEXT = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"


async def test_an_activated_document_is_the_active_version(world: World):
    assert await policies.find_active(world.ports) is None
    version = await policies.activate(world.ports, TEXT, "carol")

    assert version == await policies.get_active(world.ports)
    assert (version.version, version.document, version.author) == (1, TEXT, "carol")
    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATED)
    assert event.details == {"version": 1, "author": "carol"}


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


def test_the_demo_bank_s_document_is_without_findings():
    assert document.check(policies.development_document()) == []
