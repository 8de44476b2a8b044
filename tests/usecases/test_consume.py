"""A once-only token is used up by one caller."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import tokens
from stepup.domain.audit import AuditKind
from stepup.domain.binding import bound_digest
from stepup.domain.client import Role
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
)
from stepup.domain.ids import AttemptId
from stepup.domain.revocation import BOUND, Revocation
from stepup.usecases import consume, introspect
from stepup.usecases.revocation_feed import LiveRevocations
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import issued, kinds, last_audited

REUSABLE = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    default: {level: urn:stepup:acr:2}
"""


async def use(world: World, token: str, attempt: AttemptId | None = None, **expected: object):
    return await consume.consume(
        world.ports, world.bank, token, attempt or an_attempt(), consume.Expected(**expected)
    )


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


@pytest.fixture
async def token(world: World) -> str:
    return (await issued(world)).text


async def test_of_twenty_concurrent_callers_one_consumes(world: World, token: str):
    results = await asyncio.gather(*(use(world, token) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(r, dict) for r in results) == 1
    assert sum(isinstance(r, TokenAlreadyConsumedError) for r in results) == 19
    assert (await kinds(world.ports)).count(AuditKind.TOKEN_CONSUMED) == 1


async def test_a_consumed_token_says_when_and_is_not_active_any_more(world: World, token: str):
    claims = await use(world, token)

    assert claims["consumed_at"] == int(world.clock.now().timestamp())
    assert await introspect.introspect(world.ports, world.bank, token) is None
    event = await last_audited(world.ports, AuditKind.TOKEN_CONSUMED)
    assert event.details == {"jti": claims["jti"]}


async def test_the_same_attempt_gets_the_same_answer(world: World, token: str):
    attempt = AttemptId("attempt-1")
    first = await use(world, token, attempt)
    world.clock.advance(timedelta(seconds=5))

    assert await use(world, token, attempt) == first


VALUES = {"amount": "500.00", "payee": "ACME", "currency": "EUR"}


@pytest.mark.parametrize(
    "expected",
    [
        {"action": "payments.cancel"},
        {"digest": "other"},
        {"values": {}},
        {"values": VALUES | {"amount": "500.01"}},
        {"values": VALUES | {"amount": 500}},
        {"values": VALUES, "digest": "other"},
    ],
)
async def test_a_question_about_something_else_burns_nothing(
    world: World, token: str, expected: dict
):
    with pytest.raises(TokenNotConsumableError):
        await use(world, token, **expected)

    assert await use(world, token, action="payments.transfer")


async def test_the_values_are_compared_as_the_subject_approved_them(world: World, token: str):
    claims = await use(
        world,
        token,
        action="payments.transfer",
        values=VALUES,
        digest=bound_digest("payments.transfer", VALUES),
    )
    assert claims["authorization_details"][0]["once"] is True


async def test_the_claims_of_a_bound_token_say_whom_to_ask_for_a_proof(world: World, token: str):
    """Consuming needs no proof of the service: it holds the caller of its own to the key."""
    read = tokens.read(token, world.snapshot.keyring, world.site, world.clock.now())
    bound = msgspec.structs.replace(read.token, confirmation=Confirmation(jkt="thumb"))
    text = tokens.sign_elevated(bound, world.snapshot.keyring.active, world.site)
    claims = await use(world, text)
    assert claims["cnf"] == {"jkt": "thumb"}
    assert claims["token_type"] == "DPoP"


async def test_a_token_that_is_not_once_only_cannot_be_consumed():
    world = World(document=REUSABLE)
    await world.enroll_app()
    got = await issued(world)

    with pytest.raises(TokenNotConsumableError):
        await use(world, got.text)
    assert await introspect.introspect(world.ports, world.bank, got.text)


async def test_a_client_that_is_no_resource_server_may_not_consume(world: World, token: str):
    world.bank = msgspec.structs.replace(world.bank, roles=frozenset({Role.RP}))

    with pytest.raises(ClientNotAllowedError):
        await use(world, token)


async def test_a_stranger_s_token_cannot_be_consumed(world: World, token: str):
    shop = world.add_client("shop", audiences=("shop-api",))

    with pytest.raises(TokenNotConsumableError):
        await consume.consume(world.ports, shop, token, an_attempt(), consume.Expected())
    assert await use(world, token)


def stand_still(world: World, monkeypatch, meanwhile: Callable[[], object]) -> None:
    """Stop the process just before a token is spent, and let it go on later."""
    tokens = world.ports.state.tokens
    spend = tokens.consume

    async def later(*args, **options):
        meanwhile()
        return await spend(*args, **options)

    monkeypatch.setattr(tokens, "consume", later)


async def test_a_process_that_stood_still_does_not_use_a_token_that_may_have_been_revoked(
    world: World, token: str, monkeypatch
):
    now = 0.0
    known = LiveRevocations(lambda: now)
    known.confirm(now)
    world.ports = world.ports._replace(revocations=known)

    def time_goes_by() -> None:
        nonlocal now
        now += BOUND.total_seconds() + 1

    stand_still(world, monkeypatch, time_goes_by)
    attempt = an_attempt()
    with pytest.raises(DependencyUnavailableError):
        await use(world, token, attempt)
    # The feed has been read again, and says nothing against it: the same attempt gets through.
    monkeypatch.undo()
    known.confirm(now)
    assert await use(world, token, attempt)


async def test_a_revocation_that_is_heard_while_a_token_is_spent_counts(
    world: World, token: str, monkeypatch
):
    subject = Revocation.of_subject(world.subject().id, world.clock.now())
    known = world.ports.revocations
    stand_still(world, monkeypatch, lambda: known.learn(subject, published=True))
    with pytest.raises(TokenNotConsumableError):
        await use(world, token)
