"""What actions do while PostgreSQL is away is theirs to say, and it is done from end to end."""

import pytest

from stepup.domain.decision import Allow, StepUp
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.freshness import Freshness
from stepup.usecases import decide
from stepup.usecases.revocation_feed import LiveRevocations
from tests.support.memory_database import AwayDatabase
from tests.support.world import World
from tests.usecases.steps import a_question, code, issued, opened, redeemed, type_code
from tests.usecases.steps import ticket as ticket_for

DOCUMENT = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      amount: {{type: decimal, required: true}}
      payee: {{type: string, required: true}}
      currency: {{type: string, required: true}}
    on_degraded: {word}
    bind: [amount, payee]
    rules:
      - {{id: small, when: action.amount <= 10000, allow: true}}
      - {{id: large, when: action.amount > 100000, require: {{level: phr}}}}
    default: {{level: urn:stepup:acr:2}}
"""


def a_world(word: str) -> World:
    return World(document=DOCUMENT.format(word=word))


def postgres_goes_away(world: World) -> None:
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))
    world.snapshot.held_freshness = Freshness.STALE


async def ask(world: World, amount: str, token: str | None = None) -> decide.Answer:
    return await decide.decide(world.ports, world.bank, a_question(amount, elevated_token=token))


async def test_serve_goes_on_from_the_decision_to_the_token():
    world = a_world("serve")
    await world.enroll_app()
    await opened(world)
    postgres_goes_away(world)

    assert isinstance((await ask(world, "50.00")).decision, Allow)
    assert (await redeemed(world, await code(world))).token.acr == "urn:stepup:acr:2"


async def test_raise_asks_for_the_strongest_and_goes_on_with_it():
    world = a_world("raise")
    await world.enroll_app()
    await world.enroll_passkey()
    await opened(world)
    before = await issued(world)
    postgres_goes_away(world)

    for amount in ("50.00", "500.00"):
        decision = (await ask(world, amount, before.text)).decision
        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == "phr"


async def test_refuse_answers_nothing_and_says_when_it_is_back():
    world = a_world("refuse")
    await world.enroll_app()
    before = await issued(world)
    postgres_goes_away(world)

    for amount in ("50.00", "500.00", "5000.00"):
        with pytest.raises(DependencyUnavailableError):
            await ask(world, amount, before.text)
    world.snapshot.held_freshness = Freshness.FRESH
    assert isinstance((await ask(world, "500.00", before.text)).decision, Allow)


async def test_refuse_opens_no_challenge_with_what_only_the_cache_knows():
    world = a_world("refuse")
    await world.enroll_app()
    await opened(world)
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))
    # PostgreSQL has just gone: the configuration is still fresh, so there is a ticket.
    assert await ticket_for(world)

    with pytest.raises(DependencyUnavailableError):
        await opened(world)


async def test_what_was_opened_before_is_finished():
    world = a_world("refuse")
    await world.enroll_app()
    challenge_id = await opened(world)
    postgres_goes_away(world)

    assert (await type_code(world, challenge_id)).state.value == "verified"


@pytest.mark.parametrize(("word", "allowed"), [("serve", True), ("raise", False)])
async def test_a_token_of_which_nobody_knows_whether_it_was_revoked(word: str, allowed: bool):
    world = a_world(word)
    await world.enroll_app()
    held = await issued(world)
    late = LiveRevocations(lambda: 6.0)
    late.confirm(0.0)
    world.ports = world.ports._replace(revocations=late)

    answer = await ask(world, "500.00", held.text)

    assert isinstance(answer.decision, Allow) is allowed
    assert answer.decision.basis.degraded.value == word


async def test_a_batch_is_refused_as_a_whole():
    world = a_world("refuse")
    postgres_goes_away(world)
    sitting = decide.open_sitting(world.ports, world.bank)

    with pytest.raises(DependencyUnavailableError):
        await decide.decide_in(world.ports, sitting, a_question("50.00"))
