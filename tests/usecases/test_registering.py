"""Clients are registered, changed, rotated and taken out of service."""

import asyncio
from datetime import datetime, timedelta

import msgspec
import pytest

from stepup.crypto import keys
from stepup.domain.admin_errors import InsufficientScopeError
from stepup.domain.administrator import DEVELOPER, Scope
from stepup.domain.audit import AuditKind
from stepup.domain.client import Role
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.client_errors import (
    ClientExistsError,
    ClientInvalidError,
    ClientNotFoundError,
    SecretlessClientError,
)
from stepup.domain.client_registration import KeySet, Registration
from stepup.domain.errors import ClientAuthenticationError, DependencyUnavailableError
from stepup.domain.ids import ClientId
from stepup.domain.policy_errors import RevisionStaleError
from stepup.domain.revocation import Ground, Revoked
from stepup.usecases import clients, registering
from tests.support.assertions import JWK
from tests.support.world import World
from tests.usecases.steps import last_audited

SHOP = ClientId("shop")
RSA = keys.generate_signing_key("RS256")
HOUR = timedelta(hours=1)


async def register(world: World, registration: Registration, by=DEVELOPER):
    done = await registering.register(world.ports, world.keyring, SHOP, registration, by)
    world.snapshot.clients[SHOP] = done.client
    return done


async def is_known(world: World, secret: str) -> bool:
    async with world.ports.database.transaction() as stores:
        world.snapshot.clients[SHOP] = await stores.clients.find(SHOP)
    try:
        await clients.authenticate(world.ports, SHOP, secret)
    except ClientAuthenticationError:
        return False
    return True


async def test_a_new_client_gets_a_secret_that_is_shown_once(world):
    done = await register(world, Registration())

    assert len(done.secret) >= 10
    assert done.secret not in repr(done)
    assert await is_known(world, done.secret)
    event = await last_audited(world.ports, AuditKind.CLIENT_REGISTERED)
    assert (event.client_id, event.details) == (SHOP, {"by": "development"})


@pytest.mark.parametrize(
    "members",
    [
        {"token_endpoint_auth_method": AuthMethod.NONE, "roles": (Role.RP,)},
        {"token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": KeySet((JWK,))},
    ],
    ids=str,
)
async def test_a_client_without_use_for_a_secret_gets_none(world, members):
    assert (await register(world, Registration(**members))).secret is None


async def test_an_identifier_is_taken_once(world):
    await register(world, Registration())
    with pytest.raises(ClientExistsError):
        await register(world, Registration())


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"jwks": KeySet(({**JWK, "d": "AAAA"},))}, "jwks"),
        ({"jwks": KeySet((JWK, JWK))}, "jwks"),
        (
            {
                "token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT,
                "jwks": KeySet(({**JWK, "use": "enc"},)),
            },
            "jwks",
        ),
        (
            {
                "token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT,
                "profile": Profile.FAPI2,
                "jwks": KeySet(({**RSA.public_jwk, "alg": "RS256"},)),
            },
            "jwks",
        ),
        ({"jwks_uri": "http://shop.example/jwks"}, "jwks_uri"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        (
            {
                "token_endpoint_auth_method": AuthMethod.TLS,
                "tls_client_auth_subject_dn": "no name",
            },
            "tls_client_auth_subject_dn",
        ),
    ],
    ids=str,
)
async def test_keys_and_names_that_cannot_work_are_refused(world, members, name):
    with pytest.raises(ClientInvalidError) as refused:
        await register(world, Registration(**members))
    assert name in [each.name for each in refused.value.findings]


async def test_a_change_names_the_revision_that_it_changes(world):
    await register(world, Registration())

    async def change(name: str, revision: int):
        wanted = Registration(client_name=name)
        return await registering.change(
            world.ports, world.keyring, SHOP, wanted, DEVELOPER, revision
        )

    assert (await change("A", 1)).client.revision == 2
    with pytest.raises(RevisionStaleError) as stale:
        await change("B", 1)
    assert stale.value.revision == 2
    # What changes nothing leaves no trace.
    assert (await change("A", 2)).client.revision == 2


async def test_a_client_keeps_its_secret_until_it_has_no_use_for_one(world):
    secret = (await register(world, Registration())).secret

    async def change(**members: object):
        wanted = Registration(**members)
        return await registering.change(world.ports, world.keyring, SHOP, wanted, DEVELOPER)

    assert (await change(dpop_bound_access_tokens=True)).secret is None
    assert await is_known(world, secret)
    by_key = {"token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": KeySet((JWK,))}
    assert (await change(**by_key)).client.secrets == ()
    assert not await is_known(world, secret)
    assert await is_known(world, (await change()).secret)


async def test_a_secret_is_rotated_with_an_overlap(world):
    old = (await register(world, Registration())).secret
    rotated = await registering.rotate(world.ports, world.keyring, SHOP, HOUR, DEVELOPER)

    assert await is_known(world, old)
    assert await is_known(world, rotated.secret)
    world.clock.advance(HOUR)
    assert not await is_known(world, old)
    assert await is_known(world, rotated.secret)


async def test_what_has_no_secret_is_not_rotated(world):
    await register(
        world, Registration(token_endpoint_auth_method=AuthMethod.NONE, roles=(Role.RP,))
    )
    with pytest.raises(SecretlessClientError):
        await registering.rotate(world.ports, world.keyring, SHOP, HOUR, DEVELOPER)


async def test_a_disabled_client_is_refused_and_its_tokens_end(world):
    secret = (await register(world, Registration())).secret
    assert (await registering.disable(world.ports, SHOP, DEVELOPER)).disabled
    assert not await is_known(world, secret)
    async with world.ports.database.transaction() as stores:
        (kept,) = await stores.revocations.live(world.clock.now())
    assert (kept.revocation.what, kept.revocation.value) == (Revoked.CLIENT, "shop")

    assert not (await registering.enable(world.ports, SHOP, DEVELOPER)).disabled
    assert await is_known(world, secret)


async def test_what_is_proved_where_nobody_has_heard_of_it_yet_ends_too(world):
    await register(world, Registration())
    await registering.disable(world.ports, SHOP, DEVELOPER)
    now = world.clock.now()

    def has_ended(seconds: int) -> bool:
        at = now + timedelta(seconds=seconds)
        return world.ports.revocations.ends([Ground(Revoked.CLIENT, SHOP, at)])

    assert [has_ended(2), has_ended(5), has_ended(7)] == [True, True, False]


async def test_attack_what_an_instance_gave_that_was_cut_off_is_not_alive_again(world):
    await register(world, Registration())
    began = world.clock.now()
    await registering.disable(world.ports, SHOP, DEVELOPER)
    world.clock.advance(HOUR)
    await registering.enable(world.ports, SHOP, DEVELOPER)
    assert await last_end(world) > began + HOUR


async def test_who_is_in_service_and_is_enabled_again_loses_nothing(world):
    await register(world, Registration())
    await registering.enable(world.ports, SHOP, DEVELOPER)
    async with world.ports.database.transaction() as stores:
        assert not await stores.revocations.live(world.clock.now())


async def last_end(world: World) -> datetime:
    async with world.ports.database.transaction() as stores:
        (kept,) = await stores.revocations.live(world.clock.now())
    return kept.revocation.before


async def test_a_change_puts_nobody_back_into_service(world):
    await register(world, Registration())
    await registering.disable(world.ports, SHOP, DEVELOPER)
    changed = await registering.change(
        world.ports, world.keyring, SHOP, Registration(client_name="New"), DEVELOPER
    )
    assert changed.client.disabled


async def test_nobody_is_disabled_whose_tokens_stay(world, monkeypatch):
    await register(world, Registration())

    async def away(_revocation: object) -> None:
        raise DependencyUnavailableError

    monkeypatch.setattr(world.ports.state.revocations, "publish", away)
    with pytest.raises(DependencyUnavailableError):
        await registering.disable(world.ports, SHOP, DEVELOPER)


async def test_an_unknown_client_is_told_as_such(world):
    for doing in (registering.disable, registering.enable):
        with pytest.raises(ClientNotFoundError):
            await doing(world.ports, SHOP, DEVELOPER)
    with pytest.raises(ClientNotFoundError):
        await registering.find(world.ports, SHOP)


async def test_letting_a_client_do_more_is_not_everybodys(world):
    plain = msgspec.structs.replace(DEVELOPER, scopes=frozenset({Scope.CLIENTS_CHANGE}))
    with pytest.raises(InsufficientScopeError):
        await register(world, Registration(), by=plain)
    await register(world, Registration(roles=(Role.PEP,)))

    async def change(**members: object):
        wanted = Registration(**members)
        return await registering.change(world.ports, world.keyring, SHOP, wanted, plain)

    assert await change(client_name="New", roles=(Role.PEP,))
    for more in ({"roles": (Role.RS,)}, {"audiences": ("x",)}, {"asserts_subject": True}):
        with pytest.raises(InsufficientScopeError):
            await change(**{"roles": (Role.PEP,)} | more)
    await registering.disable(world.ports, SHOP, plain)
    with pytest.raises(InsufficientScopeError):
        await registering.enable(world.ports, SHOP, plain)


async def test_every_change_is_announced(world):
    listening = world.ports.state.changes.listen()
    heard = asyncio.create_task(anext(listening))
    await asyncio.sleep(0)
    await register(world, Registration())
    await asyncio.wait_for(heard, 5)
    await listening.aclose()
