"""A subject with nothing for what is asked: the fallback, from the ticket to the next decision."""

from datetime import timedelta

import pytest

from stepup.crypto import tickets
from stepup.domain.audit import AuditKind
from stepup.domain.decision import Allow, StepUp
from stepup.domain.errors import NewerFormatError, UnmetRequirementError
from stepup.domain.requirement import OnUnenrolled
from stepup.usecases import authorize, decide
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import (
    a_push,
    a_question,
    code,
    last_audited,
    opened,
    opened_by_client,
    redeemed,
    ticket,
)

DOCUMENT = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      amount: {type: decimal, required: true}
      payee: {type: string, required: true}
      currency: {type: string, required: true}
    bind: [amount, payee, currency]
    default:
      level: phr
      on_unenrolled: fallback
      fallback: {level: urn:stepup:acr:2}
"""
AGED = DOCUMENT.replace(
    "level: phr", "level: urn:stepup:acr:2\n      min_credential_age: 24h"
).replace(
    "fallback: {level: urn:stepup:acr:2}", "fallback: {level: urn:stepup:acr:2, methods: [totp]}"
)
NO_FALLBACK = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      amount: {type: decimal, required: true}
      payee: {type: string, required: true}
      currency: {type: string, required: true}
    default: {level: phr, min_credential_age: 24h, on_unenrolled: enroll}
"""


@pytest.fixture
def world() -> World:
    return World(document=DOCUMENT)


async def ask(world: World, amount: str = "500.00", token: str | None = None) -> decide.Answer:
    return await decide.decide(world.ports, world.bank, a_question(amount, elevated_token=token))


async def test_who_has_nothing_better_gets_through_and_does_not_loop(world: World):
    await world.enroll_app()
    issued = await redeemed(world, await code(world))

    assert (issued.token.acr, issued.token.fallback_for) == ("urn:stepup:acr:2", "phr")
    answer = await ask(world, token=issued.text)
    assert isinstance(answer.decision, Allow)
    assert answer.decision.basis.fallback == "urn:stepup:acr:2"
    opened_event = await last_audited(world.ports, AuditKind.CHALLENGE_OPENED)
    assert opened_event.details == {"acr": "urn:stepup:acr:2", "fallback_for": "phr"}
    issued_event = await last_audited(world.ports, AuditKind.TOKEN_ISSUED)
    assert issued_event.details["fallback_for"] == "phr"


async def test_attack_the_token_of_a_fallback_is_used_for_another_amount(world: World):
    await world.enroll_app()
    issued = await redeemed(world, await code(world))

    assert isinstance((await ask(world, "500.01", issued.text)).decision, StepUp)


async def test_attack_who_has_a_passkey_answers_with_less(world: World):
    await world.enroll_app()
    await world.enroll_passkey()

    challenge = await world.ports.state.challenges.find(await opened(world))

    assert challenge.methods == ("webauthn",)
    assert challenge.authorization.fallback_for is None
    assert challenge.authorization.requirement.acr == "phr"


async def test_who_has_nothing_at_all_is_told_of_the_demand_itself(world: World):
    with pytest.raises(UnmetRequirementError):
        await opened_by_client(world)


async def test_what_is_stored_with_a_challenge_can_be_read_by_the_release_before(world: World):
    await world.enroll_app()
    challenge = await world.ports.state.challenges.find(await opened(world))

    assert challenge.authorization.requirement.fallback is None
    assert challenge.authorization.requirement.on_unenrolled is OnUnenrolled.DENY


async def test_the_same_attempt_finds_the_challenge_that_fell_back(world: World):
    await world.enroll_app()
    push = a_push(world, step_up_ticket=await ticket(world))
    attempt = an_attempt()
    first = await authorize.push(world.ports, world.bank, push, attempt)
    # Meanwhile there is something better; what was opened stays what it is.
    await world.enroll_passkey()

    assert await authorize.push(world.ports, world.bank, push, attempt) == first


async def test_a_release_that_knows_no_fallback_does_not_read_the_ticket(world: World, monkeypatch):
    text = await ticket(world)
    monkeypatch.setattr(tickets, "FORMAT", 1)

    with pytest.raises(NewerFormatError):
        tickets.read_ticket(text, decide.ticket_key(world.keyring), world.clock.now())


async def test_a_ticket_that_asks_for_nothing_new_can_be_read_by_the_release_before(monkeypatch):
    world = World()
    text = await ticket(world)
    monkeypatch.setattr(tickets, "FORMAT", 1)

    assert tickets.read_ticket(text, decide.ticket_key(world.keyring), world.clock.now())


class TestAgeOfAuthenticators:
    async def test_a_new_authenticator_does_not_count(self):
        world = World(document=NO_FALLBACK)
        await world.enroll_passkey()

        with pytest.raises(UnmetRequirementError):
            await opened_by_client(world)
        world.clock.advance(timedelta(hours=24))
        assert await opened_by_client(world)

    async def test_the_token_says_what_was_checked_and_satisfies(self):
        world = World(document=AGED)
        await world.enroll_app()
        world.clock.advance(timedelta(hours=24))
        issued = await redeemed(world, await code(world))

        assert (issued.token.credential_age, issued.token.fallback_for) == (
            timedelta(hours=24),
            None,
        )
        assert isinstance((await ask(world, token=issued.text)).decision, Allow)

    async def test_who_is_too_new_falls_back(self):
        world = World(document=AGED)
        await world.enroll_app()
        issued = await redeemed(world, await code(world))

        assert issued.token.credential_age == timedelta(0)
        assert issued.token.fallback_for == "urn:stepup:acr:2"
        assert isinstance((await ask(world, token=issued.text)).decision, Allow)
