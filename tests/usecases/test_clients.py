"""Clients: who is calling, and registering those who may."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.client_authentication import ClientSecret
from stepup.domain.errors import ClientAuthenticationError
from stepup.domain.ids import ClientId
from stepup.usecases import clients, registering
from tests.support.application import CLIENT_SECRET
from tests.support.world import World
from tests.usecases.steps import last_audited


async def test_a_client_is_known_by_its_secret(world: World):
    assert await clients.authenticate(world.ports, "bank", CLIENT_SECRET) is world.bank


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("bank", "wrong"),
        ("bank", ""),
        ("bank", CLIENT_SECRET + " "),
        ("nobody", CLIENT_SECRET),
        ("Bank", CLIENT_SECRET),
        ("", ""),
        ("bank\0", CLIENT_SECRET),
    ],
)
async def test_an_unknown_client_and_a_wrong_secret_look_the_same(
    world: World, client_id: str, secret: str
):
    with pytest.raises(ClientAuthenticationError) as caught:
        await clients.authenticate(world.ports, client_id, secret)
    assert caught.value.detail == ClientAuthenticationError.message


async def test_a_disabled_client_is_refused(world: World):
    world.add_client("shop", disabled=True)

    with pytest.raises(ClientAuthenticationError):
        await clients.authenticate(world.ports, "shop", CLIENT_SECRET)


async def test_while_a_secret_is_rotated_both_are_good(world: World):
    digests = tuple(
        clients.secret_digest(world.keyring, ClientId("shop"), secret) for secret in ("new", "old")
    )
    shop = world.add_client("shop", secret_digests=digests)

    for secret in ("new", "old"):
        assert await clients.authenticate(world.ports, "shop", secret) == shop


async def test_a_digest_moved_to_another_client_does_not_match(world: World):
    world.add_client("shop", secret_digests=world.bank.secret_digests)

    with pytest.raises(ClientAuthenticationError):
        await clients.authenticate(world.ports, "shop", CLIENT_SECRET)


async def test_registering_is_audited_and_announced(world: World):
    listening = world.ports.state.changes.listen()
    heard = asyncio.create_task(anext(listening))
    await asyncio.sleep(0)
    await registering.put(world.ports, msgspec.structs.replace(world.bank, name="The bank"))

    async with world.ports.database.transaction() as stores:
        assert [client.name for client in await stores.clients.all()] == ["The bank"]
    event = await last_audited(world.ports, AuditKind.CLIENT_CHANGED)
    assert event.client_id == "bank"
    await asyncio.wait_for(heard, 5)
    await listening.aclose()


async def test_an_expired_overlap_is_over(world: World):
    now = world.clock.now()
    old, new = (clients.secret_digest(world.keyring, ClientId("shop"), s) for s in ("old", "new"))
    ends = ClientSecret(old, now + timedelta(hours=1))
    world.add_client("shop", secret_digests=(new,), secrets=(ends,))

    world.clock.advance(timedelta(minutes=59, seconds=59))
    for secret in ("new", "old"):
        await clients.authenticate(world.ports, "shop", secret)
    world.clock.advance(timedelta(seconds=1))
    await clients.authenticate(world.ports, "shop", "new")
    with pytest.raises(ClientAuthenticationError):
        await clients.authenticate(world.ports, "shop", "old")
