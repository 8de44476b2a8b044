"""Explaining the active version, others, and texts that are none; and whose authenticators fit."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.administrator import DEVELOPER
from stepup.domain.assurance import Acr
from stepup.domain.decision import Allow, AllowReason, StepUp
from stepup.domain.errors import InvalidRequestError, PolicyInvalidError
from stepup.domain.explanation import Verdict
from stepup.domain.fitness import Misfit
from stepup.domain.ids import DraftId
from stepup.domain.policy_draft import begin
from stepup.domain.policy_errors import DraftNotFoundError, VersionNotFoundError
from stepup.usecases import policies
from stepup.usecases.explain import Asked, Chosen, Explained, Imagined, explain
from tests.support.builders import a_decision_request
from tests.support.determinism import NOON
from tests.support.workshop import WorkshopHere
from tests.support.world import World

ALLOWS = "apiVersion: stepup/v1\nactions:\n  payments.transfer: {default: allow}\n"
PAYMENT = {"amount": "1500.00", "currency": "EUR", "payee": "Carol"}


def a_situation(authentication: Imagined | None = None, **properties: object) -> Asked:
    request = a_decision_request(action_properties=PAYMENT | properties)
    return Asked(request=request, authentication=authentication, now=NOON)


async def explained(world: World, situation: Asked | None = None, **chosen) -> Explained:
    return await explain(
        world.ports,
        WorkshopHere(),
        situation or a_situation(),
        Chosen(**chosen),
        world.subject(),
    )


async def test_the_active_version_is_explained_by_default(world: World):
    told = await explained(world)
    assert told.version == 1
    assert told.explanation.decision.basis.rule == "large"
    assert [rule.verdict for rule in told.explanation.rules[:2]] == [
        Verdict.NOT_MATCHED,
        Verdict.MATCHED,
    ]


async def test_another_version_is_explained_by_its_number(world: World):
    version = await policies.activate(world.ports, ALLOWS, "carol")
    told = await explained(world, version=version.version)
    assert isinstance(told.explanation.decision, Allow)
    assert told.version == version.version


async def test_a_draft_is_explained_and_is_no_version(world: World):
    async with world.ports.database.transaction() as stores:
        draft = await stores.drafts.add(begin(ALLOWS, "softer", 0, DEVELOPER, NOON))
    told = await explained(world, draft=draft.id)
    assert isinstance(told.explanation.decision, Allow)
    assert told.version is None


async def test_a_text_is_explained_though_its_own_test_fails(world: World):
    failing = ALLOWS.replace(
        "{default: allow}", "{default: allow, tests: [{name: wrong, expect: deny}]}"
    )
    told = await explained(world, document=failing)
    assert isinstance(told.explanation.decision, Allow)


async def test_a_text_with_errors_is_not_explained(world: World):
    with pytest.raises(PolicyInvalidError) as caught:
        await explained(world, document=ALLOWS.replace("default", "defualt"))
    assert caught.value.findings


async def test_what_does_not_exist_is_said(world: World):
    with pytest.raises(VersionNotFoundError):
        await explained(world, version=7)
    with pytest.raises(DraftNotFoundError):
        await explained(world, draft=DraftId(7))


async def test_two_policies_at_once_are_refused(world: World):
    with pytest.raises(InvalidRequestError):
        await explained(world, version=1, document=ALLOWS)


@pytest.mark.parametrize(
    ("authentication", "allowed"),
    [
        (None, False),
        (Imagined(acr=Acr("phrh")), False),
        (Imagined(acr=Acr("phr"), for_this=True), True),
        (Imagined(acr=Acr("phr"), for_this=True, age=timedelta(hours=1)), False),
        (Imagined(acr=Acr("phr"), for_this=True, auth_time=NOON - timedelta(minutes=1)), True),
        (Imagined(acr=Acr("phr"), for_this=True, auth_time=NOON + timedelta(hours=1)), False),
        (Imagined(acr=Acr("urn:stepup:acr:2"), for_this=True), False),
    ],
)
async def test_an_authentication_may_be_imagined(
    world: World, authentication: Imagined | None, allowed: bool
):
    told = await explained(world, a_situation(authentication))
    assert isinstance(told.explanation.decision, Allow) is allowed


async def test_each_authenticator_is_fit_or_says_why_not(world: World):
    await world.enroll_app()
    await world.enroll_passkey()
    app, passkey = (await explained(world)).authenticators
    assert (app.usable, app.why_not) == (False, (Misfit.METHOD_NOT_ALLOWED,))
    assert passkey.usable


async def test_where_nothing_is_asked_no_authenticator_is_looked_at(world: World):
    await world.enroll_app()
    told = await explained(world, a_situation(amount="5.00"))
    assert told.explanation.decision.reason is AllowReason.NOT_REQUIRED
    assert told.authenticators == ()


async def test_whoever_names_no_subject_sees_no_authenticators(world: World):
    await world.enroll_app()
    told = await explain(world.ports, WorkshopHere(), a_situation())
    assert told.authenticators is None


async def test_an_explanation_leaves_nothing_behind(world: World):
    await explained(world)
    assert isinstance((await explained(world)).explanation.decision, StepUp)
    async with world.ports.database.transaction() as stores:
        assert await stores.audit.written(after=0, count=10) == []
    assert await asyncio.wait_for(world.ports.state.outbox.backlog(), 5) is not None
