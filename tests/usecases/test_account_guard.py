"""The gate of the account pages: the policy decides about each change."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.account import AccountSession
from stepup.domain.assurance import Acr, AuthnContext, Method
from stepup.domain.errors import ActionDeniedError, StepUpRequiredError
from stepup.domain.requirement import Requirement
from stepup.usecases import account_guard
from stepup.usecases.account_guard import ADD, ADD_FIRST, REMOVE, RENAME
from tests.support.world import World
from tests.usecases.steps import elevated, recovery_codes, session_of, signed_in

FRESH_LOGIN_FIRST = """
apiVersion: stepup/v1
actions:
  account.authenticator.add_first:
    attributes:
      base_acr: {type: string, in: context}
      base_age_seconds: {type: int, in: context}
    rules:
      - id: fresh
        when: context.base_age_seconds <= 300 && context.base_acr == "urn:bank:strong"
        allow: true
    default: deny
"""
RIGHT_NOW = """
apiVersion: stepup/v1
actions:
  pay: {default: allow}
guardrails:
  - id: own
    match: {actions: ["account.authenticator.*"]}
    require: {max_age: 0s}
"""


async def refusal(world: World, session: AccountSession, action, **kwargs) -> StepUpRequiredError:
    with pytest.raises(StepUpRequiredError) as caught:
        await account_guard.permit(world.ports, session, action, **kwargs)
    return caught.value


# --- the first authenticator ------------------------------------------------------------------


async def test_the_first_authenticator_needs_base_login_alone(world: World):
    session = await session_of(world, await signed_in(world))

    assert await account_guard.permit_adding(world.ports, session) == []


async def test_the_second_needs_a_step_up(world: World):
    await world.enroll_app()
    session = await session_of(world, await signed_in(world))

    with pytest.raises(StepUpRequiredError) as caught:
        await account_guard.permit_adding(world.ports, session)
    assert caught.value.action == ADD
    assert caught.value.requirement.acr == "urn:stepup:acr:1"


async def test_recovery_codes_that_answer_nothing_are_no_authenticator(world: World):
    app = await world.enroll_app()
    await recovery_codes(world, confirmed=False)
    async with world.ports.database.transaction() as stores:
        await stores.authenticators.remove(world.subject(), app.id)
    session = await session_of(world, await signed_in(world))

    assert len(await account_guard.permit_adding(world.ports, session)) == 1


@pytest.mark.parametrize(
    ("acr", "age", "permitted"),
    [
        ("urn:bank:strong", timedelta(minutes=5), True),
        ("urn:bank:strong", timedelta(minutes=5, seconds=1), False),
        ("urn:bank:weak", timedelta(0), False),
        (None, timedelta(0), False),
    ],
)
async def test_a_policy_can_demand_a_fresher_or_stronger_base_login(
    acr: str | None, age: timedelta, permitted: bool
):
    world = World(document=FRESH_LOGIN_FIRST)
    session = await session_of(world, await signed_in(world))
    identity = msgspec.structs.replace(session.identity, acr=acr, auth_time=world.clock.now() - age)
    session = msgspec.structs.replace(session, identity=identity)
    if permitted:
        await account_guard.permit_adding(world.ports, session)
        return

    with pytest.raises(ActionDeniedError):
        await account_guard.permit_adding(world.ports, session)


async def test_a_base_login_of_unknown_age_is_as_old_as_the_session():
    world = World(document=FRESH_LOGIN_FIRST)
    session = await session_of(world, await signed_in(world))
    identity = msgspec.structs.replace(session.identity, acr="urn:bank:strong", auth_time=None)
    session = msgspec.structs.replace(session, identity=identity)
    await account_guard.permit(world.ports, session, ADD_FIRST)

    world.clock.advance(timedelta(minutes=5, seconds=1))
    with pytest.raises(ActionDeniedError):
        await account_guard.permit(world.ports, session, ADD_FIRST)


# --- levels and ages --------------------------------------------------------------------------


async def test_an_elevated_session_may(world: World):
    await world.enroll_app()
    session = await elevated(world, await signed_in(world))

    await account_guard.permit(world.ports, session, RENAME)
    await account_guard.permit(world.ports, session, REMOVE)


async def test_elevation_is_good_for_five_minutes(world: World):
    await world.enroll_app()
    session = await elevated(world, await signed_in(world))
    world.clock.advance(timedelta(minutes=5))
    await account_guard.permit(world.ports, session, REMOVE)

    world.clock.advance(timedelta(seconds=1))
    assert (await refusal(world, session, REMOVE)).requirement.acr == "urn:stepup:acr:2"


async def test_who_has_only_a_recovery_code_has_as_long_as_others_to_enroll_something(world: World):
    await world.enroll_app()
    session = await elevated(world, await signed_in(world), action=ADD)
    # What a recovery code shows: one word, at a level that other methods reach too.
    code = AuthnContext(acr=Acr("urn:stepup:acr:1"), amr=("otp",), auth_time=world.clock.now())
    session = msgspec.structs.replace(session, elevation=code, elevated_for=ADD)

    world.clock.advance(timedelta(minutes=4))
    await account_guard.permit(world.ports, session, ADD)
    renaming = msgspec.structs.replace(session, elevated_for=RENAME)
    await refusal(world, renaming, ADD)
    world.clock.advance(timedelta(minutes=2))
    await refusal(world, session, ADD)


async def test_at_least_raises_what_the_policy_asks(world: World):
    await world.enroll_app()
    floor = Requirement(acr=Acr("phr"))
    plain = await session_of(world, await signed_in(world))
    asked = await refusal(world, plain, REMOVE, at_least=floor)
    assert asked.requirement.acr == "phr"
    assert asked.requirement.max_age == timedelta(minutes=5)

    session = await elevated(world, await signed_in(world))
    assert (await refusal(world, session, REMOVE, at_least=floor)).requirement.acr == "phr"


async def test_a_demand_for_right_now_is_met_by_the_step_up_that_it_caused():
    world = World(document=RIGHT_NOW)
    await world.enroll_app()
    secret = await signed_in(world)
    await refusal(world, await session_of(world, secret), ADD)
    session = await elevated(world, secret, action=ADD)
    await account_guard.permit(world.ports, session, ADD)

    # It was made for this action, and stands for it as long as a token would.
    await refusal(world, session, RENAME)
    world.clock.advance(timedelta(seconds=121))
    await refusal(world, session, ADD)


def test_events_name_the_subject_by_its_digest(world: World):
    event = account_guard.event_of(world.ports, world.subject(), "authenticator.renamed", n=1)

    assert event.subject_id == world.subject().id
    assert "alice" not in str(event)


# --- one phished code must not enroll a passkey -----------------------------------------------


async def test_adding_asks_for_the_best_that_the_subject_has(world: World):
    await world.enroll_app()
    await world.enroll_passkey()
    session = await session_of(world, await signed_in(world))

    with pytest.raises(StepUpRequiredError) as caught:
        await account_guard.permit_adding(world.ports, session)

    assert caught.value.requirement.methods == {Method.WEBAUTHN, Method.RECOVERY_CODE}


async def test_a_step_up_below_the_best_for_something_else_adds_nothing(world: World):
    await world.enroll_app()
    await world.enroll_passkey()
    session = await session_of(world, await signed_in(world))
    context = AuthnContext(acr=Acr("urn:stepup:acr:2"), auth_time=world.clock.now())
    session = msgspec.structs.replace(session, elevation=context, elevated_for=RENAME)

    with pytest.raises(StepUpRequiredError):
        await account_guard.permit_adding(world.ports, session)
