"""Status lists: which tokens they say have ended, when, and what they tell nobody."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import tokens
from stepup.crypto.jwts import Key, verify
from stepup.crypto.status_list import STATUS_LIST_TYP, PackedStatuses
from stepup.domain import status
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.revocation import BOUND, Revocation
from stepup.domain.status import ListName, Status
from stepup.domain.status_errors import StatusListNotFoundError
from stepup.domain.token import ElevatedToken
from stepup.usecases import revoke
from stepup.usecases.listing import with_place
from stepup.usecases.make_token import Issued
from stepup.usecases.status_lists import LiveStatusLists, follow
from tests.support.application import a_keyring
from tests.support.memory_revocations import known_revocations
from tests.support.world import World
from tests.usecases.steps import issued

SECOND = timedelta(seconds=1)


class Instance:
    """One process: what it knows of revocations, and the lists that it publishes."""

    def __init__(self, world: World) -> None:
        self.live = known_revocations()
        self.ports = world.ports._replace(revocations=self.live)
        self.now = 0.0
        self.lists = LiveStatusLists(self.live, lambda: self.now)

    async def said(self, token: ElevatedToken) -> int:
        """Publish, and read what the list says as a resource server would."""
        await self.lists.publish(self.ports)
        reference = token.status
        published = await self.lists.find(self.ports, name_in(reference.uri))
        return self.read(published.body.decode())["list"][reference.index]

    def read(self, body: str) -> dict:
        signing = self.ports.snapshot.keyring.active
        key = Key(algorithm=signing.algorithm, key=signing.private_key.public_key())
        claims = msgspec.json.decode(verify(body, key, typs=(STATUS_LIST_TYP,)))
        listed = claims["status_list"]
        return claims | {"list": PackedStatuses.read(listed["bits"], listed["lst"])}


def name_in(uri: str) -> str:
    return uri.rsplit("/", 1)[1]


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


@pytest.fixture
def instance(world: World) -> Instance:
    return Instance(world)


@pytest.fixture
async def token(world: World) -> Issued:
    return await issued(world)


async def test_draft_6_2_an_elevated_token_says_where_its_status_is(world: World, token: Issued):
    read = tokens.read_elevated(
        token.text, world.snapshot.keyring, world.site, world.clock.now()
    ).status
    assert read is not None
    assert 0 <= read.index < status.PLACES
    name = ListName.parse(name_in(read.uri))
    assert name.region == world.site.region
    assert status.end_of(name.window) >= token.token.expires_at
    assert read.uri == world.site.url(f"/status-lists/{name}")


REVOCATIONS: list[Callable[[ElevatedToken, World], Revocation]] = [
    lambda token, world: Revocation.of_token(token.id, token.expires_at, world.clock.now()),
    lambda token, world: Revocation.of_grant(
        token.challenge_id, token.expires_at, world.clock.now()
    ),
    lambda token, world: Revocation.of_subject(token.subject.id, world.clock.now()),
    lambda token, world: Revocation.of_client(token.client_id, world.clock.now()),
    lambda token, world: Revocation.of_authenticator(
        token.subject.id, token.authenticators[0], world.clock.now()
    ),
    lambda _, world: Revocation.of_key(
        world.snapshot.keyring.active.id, world.clock.now() + SECOND, world.clock.now()
    ),
]


@pytest.mark.parametrize(
    "of", REVOCATIONS, ids=["token", "grant", "subject", "client", "authenticator", "key"]
)
async def test_a_revocation_of_any_kind_is_in_the_list(world, instance, token, of):
    assert await instance.said(token.token) == Status.VALID
    instance.live.learn(of(token.token, world), published=True)
    assert await instance.said(token.token) == Status.INVALID


async def test_a_token_whose_subject_was_revoked_a_moment_before_it_was_issued(world, instance):
    """Proved before, revoked, and only then redeemed: it was never valid."""
    instance.live.learn(
        Revocation.of_subject(world.subject().id, world.clock.now() + timedelta(minutes=1)),
        published=True,
    )
    late = await issued(world)
    assert await instance.said(late.token) == Status.INVALID


async def test_a_revocation_races_the_first_look_at_a_token(world, instance, token):
    """Neither order of the two leaves it valid."""
    revocation = Revocation.of_token(token.token.id, token.token.expires_at, world.clock.now())
    looking = asyncio.create_task(instance.lists.publish(instance.ports))
    await asyncio.sleep(0)
    instance.live.learn(revocation, published=True)
    await looking
    assert await instance.said(token.token) == Status.INVALID


async def test_other_tokens_stay_valid(world, instance, token):
    other = await with_place(
        world.ports, msgspec.structs.replace(token.token, id="r1.other.jti"), "k1"
    )
    await revoke_at(instance, token.token, world)
    assert await instance.said(token.token) == Status.INVALID
    assert await instance.said(other) == Status.VALID


async def test_many_revocations_at_once_are_all_found(world, instance, token):
    for i in range(2_000):
        revocation = Revocation.of_token(f"r1.{i}.jti", token.token.expires_at, world.clock.now())
        instance.live.learn(revocation, published=True)
    await revoke_at(instance, token.token, world)
    assert await instance.said(token.token) == Status.INVALID


async def test_a_repeated_attempt_gets_the_same_place(world: World, token: Issued):
    again = await asyncio.gather(*(with_place(world.ports, token.token, "k1") for _ in range(8)))
    assert {each.status for each in again} == {token.token.status}


async def test_neighbouring_tokens_have_places_that_tell_no_order(world: World, token: Issued):
    """Guessing a neighbour's place from one's own says nothing: places are drawn, not counted."""
    places = []
    for i in range(200):
        one = msgspec.structs.replace(token.token, id=f"r1.{i:03}.jti")
        places.append((await with_place(world.ports, one, "k1")).status.index)
    steps = [b - a for a, b in itertools.pairwise(places)]
    assert len(set(places)) == len(places)
    assert 60 < sum(step > 0 for step in steps) < 140
    assert max(places) - min(places) > status.PLACES * 0.9
    assert len(set(steps)) > 190


async def test_its_size_does_not_tell_how_many_tokens_there_are(world, instance, token):
    await instance.lists.publish(instance.ports)
    published = await instance.lists.find(instance.ports, name_in(token.token.status.uri))
    listed = instance.read(published.body.decode())
    assert len(listed["list"]) == status.PLACES
    lst = listed["status_list"]["lst"]
    for i in range(50):
        one = msgspec.structs.replace(token.token, id=f"r1.{i:03}.jti")
        await with_place(world.ports, one, "k1")
    await instance.lists.publish(instance.ports)
    again = await instance.lists.find(instance.ports, name_in(token.token.status.uri))
    assert instance.read(again.body.decode())["status_list"]["lst"] == lst


async def test_draft_5_1_the_list_names_itself(instance, token):
    await instance.lists.publish(instance.ports)
    uri = token.token.status.uri
    claims = instance.read((await instance.lists.find(instance.ports, name_in(uri))).body.decode())
    assert claims["sub"] == uri
    assert claims["exp"] - claims["iat"] == status.LIST_LIFETIME.total_seconds()
    assert claims["ttl"] == status.TTL.total_seconds()
    assert claims["status_list"]["bits"] == 2


async def test_it_is_signed_once_per_change_and_long_before_it_expires(world, instance, token):
    name = name_in(token.token.status.uri)
    await instance.lists.publish(instance.ports)
    first = await instance.lists.find(instance.ports, name)
    await instance.lists.publish(instance.ports)
    assert await instance.lists.find(instance.ports, name) is first
    world.clock.advance(status.SIGNED_AGAIN_AFTER)
    await instance.lists.publish(instance.ports)
    assert await instance.lists.find(instance.ports, name) is not first


async def test_a_change_that_could_not_be_signed_is_signed_at_the_next_look(
    world, instance, token, monkeypatch
):
    """A list in which nobody put the revocation would be served for twenty seconds more."""
    assert await instance.said(token.token) == Status.VALID
    await revoke_at(instance, token.token, world)

    def fail(*_args: object) -> None:
        raise DependencyUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr("stepup.usecases.status_lists.sign_status_list", fail)
        with pytest.raises(DependencyUnavailableError):
            await instance.lists.publish(instance.ports)
    assert await instance.said(token.token) == Status.INVALID


async def test_it_is_signed_again_at_once_when_another_key_signs(world, instance, token):
    """Who revoked the key does not find its lists unreadable."""
    name = name_in(token.token.status.uri)
    await instance.lists.publish(instance.ports)
    first = await instance.lists.find(instance.ports, name)
    world.snapshot.held_keyring = a_keyring()
    await instance.lists.publish(instance.ports)
    second = await instance.lists.find(instance.ports, name)
    assert first.key_id != second.key_id
    assert instance.read(second.body.decode())["sub"] == token.token.status.uri


async def test_a_list_that_began_at_another_instance_is_found_at_once(world, instance, token):
    other = Instance(world)
    await other.lists.publish(other.ports)
    late = await with_place(
        world.ports,
        msgspec.structs.replace(
            token.token, expires_at=token.token.expires_at + status.WINDOW, id="r1.late.jti"
        ),
        "k1",
    )
    assert await other.lists.find(other.ports, name_in(late.status.uri))


@pytest.mark.parametrize(
    "name", ["", "r1", "r1.1", "r1.1.x", "r2.{window}.x", "r1.{window}.never", "r1.²{window}.x"]
)
async def test_there_is_no_other_list(world, instance, token, name):
    name = name.format(window=status.window_of(token.token.expires_at))
    with pytest.raises(StatusListNotFoundError):
        await instance.lists.find(instance.ports, name)


async def test_a_crowd_that_asks_for_invented_lists_waits_for_one_look(
    instance, token, monkeypatch
):
    looks, read = [], instance.ports.state.statuses.read

    async def counted(window: int, start: int) -> object:
        looks.append(window)
        await asyncio.sleep(0)
        return await read(window, start)

    monkeypatch.setattr(instance.ports.state.statuses, "read", counted)
    window = status.window_of(token.token.expires_at)
    names = [f"r1.{window}.invented{number}" for number in range(200)]
    answers = await asyncio.gather(
        *(instance.lists.find(instance.ports, name) for name in names), return_exceptions=True
    )
    assert all(isinstance(each, StatusListNotFoundError) for each in answers)
    # The look that was under way, and the one after it, of a page or two for each window.
    assert len(looks) <= 10


async def test_a_list_ends_with_its_last_token(world, instance, token):
    name = name_in(token.token.status.uri)
    await instance.lists.publish(instance.ports)
    assert [str(each) for each in await instance.lists.names(instance.ports)] == [name]
    world.clock.advance(2 * status.WINDOW + status.LIST_LIFETIME)
    await instance.lists.publish(instance.ports)
    assert await instance.lists.names(instance.ports) == []
    with pytest.raises(StatusListNotFoundError):
        await instance.lists.find(instance.ports, name)


async def test_what_was_given_after_a_loss_is_read_although_there_is_as_much_as_before(
    world, instance, token
):
    await instance.lists.publish(instance.ports)
    emptied = World(clock=world.clock, keyring=world.keyring)
    instance.ports = instance.ports._replace(state=emptied.ports.state)
    new = await with_place(
        instance.ports, msgspec.structs.replace(token.token, id="r1.new.jti"), "k1"
    )
    assert new.status.uri != token.token.status.uri, "a place would be given twice"
    await revoke_at(instance, new, world)
    assert await instance.said(new) == Status.INVALID
    assert await instance.said(token.token) == Status.VALID


async def test_who_does_not_know_what_ended_publishes_nothing(instance, token):
    await instance.lists.publish(instance.ports)
    name = name_in(token.token.status.uri)
    instance.now = BOUND.total_seconds() + 0.1
    with pytest.raises(DependencyUnavailableError):
        await instance.lists.find(instance.ports, name)
    with pytest.raises(DependencyUnavailableError):
        await instance.lists.names(instance.ports)


async def test_no_token_is_given_without_a_place(world: World, monkeypatch):
    async def away(_wanted: object) -> None:
        raise DependencyUnavailableError

    monkeypatch.setattr(world.ports.state.statuses, "give_place", away)
    with pytest.raises(DependencyUnavailableError):
        await issued(world)


async def test_following_bears_a_store_that_is_away(instance, monkeypatch, token):
    async def away(*_args: object) -> None:
        raise DependencyUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(instance.ports.state.statuses, "read", away)
        following = asyncio.create_task(follow(instance.ports, instance.lists))
        await asyncio.sleep(0.05)
        assert not following.done()
    async with asyncio.timeout(3):
        while not following.done():
            await asyncio.sleep(0.1)
            if instance.lists._known_at is not None:
                break
    following.cancel()
    assert await instance.lists.names(instance.ports)


async def revoke_at(instance: Instance, token: ElevatedToken, world: World) -> None:
    await revoke.revoke_token(instance.ports, token.id, token.expires_at)
