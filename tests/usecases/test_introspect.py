"""What a resource server is told of a token."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.client import Role
from stepup.usecases import introspect
from tests.support.world import World
from tests.usecases.steps import issued, kinds


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


@pytest.fixture
async def token(world: World) -> str:
    return (await issued(world)).text


async def test_an_active_token_tells_its_claims(world: World, token: str):
    claims = await introspect.introspect(world.ports, world.bank, token)

    assert claims["acr"] == "urn:stepup:acr:2"
    assert claims["sub"] == "alice"
    assert claims["client_id"] == "bank"


async def test_introspection_changes_nothing(world: World, token: str):
    before = await kinds(world.ports)
    for _ in range(3):
        assert await introspect.introspect(world.ports, world.bank, token)

    assert await kinds(world.ports) == before


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é"])
async def test_what_is_no_token_is_not_active(world: World, text: str):
    assert await introspect.introspect(world.ports, world.bank, text) is None


@pytest.mark.parametrize(("seconds", "active"), [(119, True), (120, False)])
async def test_a_token_ends_on_time(world: World, token: str, seconds: int, active: bool):
    world.clock.advance(timedelta(seconds=seconds))

    assert (await introspect.introspect(world.ports, world.bank, token) is not None) is active


@pytest.mark.parametrize(
    ("audiences", "roles", "active"),
    [
        (("bank-api",), {Role.RS}, True),
        (("bank-api",), {Role.PEP, Role.RP}, False),
        (("shop-api",), {Role.RS}, False),
    ],
    ids=["its audience", "not a resource server", "another audience"],
)
async def test_a_token_is_known_to_its_own_parties_only(
    world: World, token: str, audiences: tuple[str, ...], roles: set[Role], active: bool
):
    other = world.add_client("api", audiences=audiences, roles=frozenset(roles))

    assert (await introspect.introspect(world.ports, other, token) is not None) is active


async def test_attack_a_token_that_an_instance_gave_which_had_not_heard_that_the_client_is_no_more(
    world: World, token: str
):
    other = world.add_client("api", audiences=("bank-api",), roles=frozenset({Role.RS}))
    world.snapshot.clients[world.bank.client_id] = msgspec.structs.replace(
        world.bank, disabled=True
    )

    assert await introspect.introspect(world.ports, other, token) is None
