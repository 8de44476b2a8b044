"""Renaming and removing: guarded, audited, and never by accident."""

import asyncio

import pytest

from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    InvalidRequestError,
    LastAuthenticatorError,
    StepUpRequiredError,
)
from stepup.domain.ids import AuthenticatorId
from stepup.usecases import look_after
from tests.support.world import World
from tests.usecases.steps import (
    elevated,
    kinds,
    last_audited,
    methods_of,
    recovery_codes,
    session_of,
    signed_in,
)

NOBODYS = AuthenticatorId("made-up")


# --- rename -----------------------------------------------------------------------------------


async def test_a_new_name_is_kept_and_audited_without_the_name(world: World):
    app = await world.enroll_app()
    session = await elevated(world, await signed_in(world))
    name = await look_after.rename(world.ports, session, app.id, "  Work   phone ")

    assert name == "Work phone"
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_RENAMED)
    assert event.details["authenticator"] == app.id


async def test_renaming_needs_a_step_up_at_both_halves(world: World):
    app = await world.enroll_app()
    session = await session_of(world, await signed_in(world))

    with pytest.raises(StepUpRequiredError):
        await look_after.prepare_rename(world.ports, session, app.id)
    with pytest.raises(StepUpRequiredError):
        await look_after.rename(world.ports, session, app.id, "Mine")


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\0b", "\u202egnp"])
async def test_a_name_that_nobody_could_read_is_refused(world: World, name: str):
    app = await world.enroll_app()
    session = await elevated(world, await signed_in(world))

    with pytest.raises(InvalidRequestError):
        await look_after.rename(world.ports, session, app.id, name)


async def test_two_authenticators_do_not_share_a_name(world: World):
    await world.enroll_app(name="Phone")
    other = await world.enroll_app(name="Tablet")
    session = await elevated(world, await signed_in(world))

    assert await look_after.rename(world.ports, session, other.id, "Phone") == "Phone (2)"
    assert await look_after.rename(world.ports, session, other.id, "Tablet") == "Tablet"


async def test_somebody_else_s_authenticator_is_not_found(world: World):
    await world.enroll_app()
    bobs = await world.enroll_app("bob")
    session = await elevated(world, await signed_in(world))

    for authenticator_id in (bobs.id, NOBODYS):
        with pytest.raises(AuthenticatorNotFoundError):
            await look_after.prepare_rename(world.ports, session, authenticator_id)
        with pytest.raises(AuthenticatorNotFoundError):
            await look_after.rename(world.ports, session, authenticator_id, "Mine")
        with pytest.raises(AuthenticatorNotFoundError):
            await look_after.remove(
                world.ports, session, authenticator_id, consequence_accepted=True
            )
    assert AuditKind.AUTHENTICATOR_RENAMED not in await kinds(world.ports)


# --- remove -----------------------------------------------------------------------------------


async def test_one_of_two_apps_is_removed_and_audited(world: World):
    old = await world.enroll_app(name="Old phone")
    await world.enroll_app(name="New phone")
    session = await elevated(world, await signed_in(world))
    assert not (await look_after.prepare_removal(world.ports, session, old.id)).is_last
    name = await look_after.remove(world.ports, session, old.id, consequence_accepted=False)

    assert name == "Old phone"
    assert await methods_of(world) == [Method.TOTP]
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_REVOKED)
    assert event.details["authenticator"] == old.id


async def test_a_passkey_is_removed_at_the_level_it_gives_and_no_less(world: World):
    await world.enroll_app()
    lost, passkey = await world.enroll_passkey()
    session = await elevated(world, await signed_in(world))
    with pytest.raises(StepUpRequiredError) as caught:
        await look_after.remove(world.ports, session, lost.id, consequence_accepted=True)
    assert caught.value.requirement.acr == "phr"

    session = await elevated(world, await signed_in(world), passkey)
    assert await look_after.remove(world.ports, session, lost.id, consequence_accepted=True)


async def test_the_last_of_a_level_is_removed_only_knowingly(world: World):
    await world.enroll_app()
    only, passkey = await world.enroll_passkey()
    session = await elevated(world, await signed_in(world), passkey)
    assert (await look_after.prepare_removal(world.ports, session, only.id)).is_last
    with pytest.raises(LastAuthenticatorError):
        await look_after.remove(world.ports, session, only.id, consequence_accepted=False)
    assert Method.WEBAUTHN in await methods_of(world)

    await look_after.remove(world.ports, session, only.id, consequence_accepted=True)
    assert await methods_of(world) == [Method.TOTP]


async def test_a_passkey_stands_in_for_the_last_app(world: World):
    app = await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    session = await elevated(world, await signed_in(world), passkey)

    assert not (await look_after.prepare_removal(world.ports, session, app.id)).is_last


async def test_recovery_codes_that_answer_nothing_can_be_removed(world: World):
    await world.enroll_app()
    await recovery_codes(world, confirmed=False)
    session = await elevated(world, await signed_in(world))
    codes = next(
        a
        for a in world.ports.database.tables.authenticators.values()
        if a.method is Method.RECOVERY_CODE
    )

    assert await look_after.remove(world.ports, session, codes.id, consequence_accepted=False)


async def test_an_authenticator_is_removed_once_by_twenty_callers(world: World):
    old = await world.enroll_app(name="Old phone")
    await world.enroll_app(name="New phone")
    session = await elevated(world, await signed_in(world))
    results = await asyncio.gather(
        *(
            look_after.remove(world.ports, session, old.id, consequence_accepted=True)
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    assert sum(r == "Old phone" for r in results) == 1
    assert (await kinds(world.ports)).count(AuditKind.AUTHENTICATOR_REVOKED) == 1


async def test_removing_needs_a_step_up(world: World):
    app = await world.enroll_app()
    session = await session_of(world, await signed_in(world))

    with pytest.raises(StepUpRequiredError):
        await look_after.prepare_removal(world.ports, session, app.id)
    assert await methods_of(world) == [Method.TOTP]
