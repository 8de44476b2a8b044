"""Decision and push in one call."""

import pytest

from stepup.domain.decision import Allow, StepUp
from stepup.domain.errors import ClientNotAllowedError, InvalidRequestError
from stepup.usecases import step_up
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import a_push, a_question, kinds


async def test_a_step_up_comes_with_the_url_to_send_the_browser_to(world: World):
    begun = await step_up.step_up(
        world.ports, world.bank, a_question(), a_push(world), an_attempt()
    )

    assert isinstance(begun.answer.decision, StepUp)
    assert begun.authorization_url.startswith(
        "https://stepup.example/oauth2/authorize?client_id=bank&request_uri=urn%3Aietf"
    )
    assert begun.pushed.expires_in == 590


async def test_what_is_allowed_pushes_nothing(world: World):
    begun = await step_up.step_up(
        world.ports, world.bank, a_question("50.00"), a_push(world), an_attempt()
    )

    assert isinstance(begun.answer.decision, Allow)
    assert begun.pushed is begun.authorization_url is None
    assert await kinds(world.ports) == []


async def test_a_step_up_asked_for_without_a_registered_redirect_is_refused(world: World):
    push = a_push(world, redirect_uri="https://evil.example/callback")

    with pytest.raises(InvalidRequestError):
        await step_up.step_up(world.ports, world.bank, a_question(), push, an_attempt())


async def test_a_client_that_only_decides_may_not_begin_a_step_up(world: World):
    shop = world.add_client("shop", roles=frozenset())

    with pytest.raises(ClientNotAllowedError):
        await step_up.step_up(world.ports, shop, a_question(), a_push(world), an_attempt())
