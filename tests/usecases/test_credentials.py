"""Challenges open while PostgreSQL is away with what a subject had; unknown is never "none"."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from stepup.domain.assurance import Method
from stepup.domain.authenticator import Authenticator
from stepup.domain.challenge import ChallengeState
from stepup.domain.errors import (
    DependencyUnavailableError,
    OutcomeUnknownError,
    VerificationFailedError,
)
from stepup.ports import CredentialCache
from stepup.usecases import look_after, provision
from stepup.usecases.credentials import authenticators_for_challenge, renew
from tests.support.memory_database import AwayDatabase
from tests.support.world import World
from tests.usecases.steps import (
    BANK,
    elevated,
    opened,
    opened_by_client,
    recovery_codes,
    redeemed,
    signed_in,
    touch,
    type_code,
)
from tests.usecases.steps import code as code_of

DAY = timedelta(hours=24)


def postgres_goes_away(world: World) -> None:
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))


async def offered(world: World) -> Sequence[Authenticator]:
    return (await authenticators_for_challenge(world.ports, world.subject())).authenticators


async def cached(world: World) -> Sequence[Authenticator] | None:
    return await world.ports.state.credentials.find(world.subject())


# --- a step-up without PostgreSQL ---------------------------------------------------------------


async def test_a_subject_of_today_steps_up_from_the_ticket_to_the_token(world: World):
    await world.enroll_app()
    await opened(world)
    postgres_goes_away(world)

    assert (await redeemed(world, await code_of(world))).token.once


async def test_a_subject_that_nobody_has_seen_is_unknown_and_not_without_authenticators(
    world: World,
):
    await world.enroll_app()
    postgres_goes_away(world)

    with pytest.raises(DependencyUnavailableError):
        await opened(world)


async def test_a_subject_that_had_none_is_unknown_too(world: World):
    await opened(world)
    postgres_goes_away(world)

    with pytest.raises(DependencyUnavailableError):
        await opened(world)


async def test_what_the_cache_said_is_not_kept_for_longer_by_being_used(world: World):
    await world.enroll_app()
    await opened(world)
    postgres_goes_away(world)
    world.clock.advance(DAY)
    await opened(world)
    world.clock.advance(timedelta(minutes=1))

    with pytest.raises(DependencyUnavailableError):
        await opened(world)


async def test_postgres_that_answers_is_believed_before_the_cache(world: World):
    old = await world.enroll_app(name="Old")
    await opened(world)
    new = await world.enroll_app(name="New")

    assert [a.name for a in await cached(world)] == [old.name]
    assert {a.name for a in await offered(world)} == {old.name, new.name}


async def test_a_cache_that_is_away_stops_no_challenge(world: World):
    class AwayCache(CredentialCache):
        async def put(self, *_args: object) -> None:
            raise OutcomeUnknownError

    await world.enroll_app()
    world.ports = world.ports._replace(state=world.ports.state._replace(credentials=AwayCache()))
    assert await opened(world)


# --- changes ------------------------------------------------------------------------------------


async def test_what_was_just_provisioned_can_be_used_while_postgres_is_away(world: World):
    described = {"type": "totp", "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}
    await provision.provision(world.ports, world.subject(), described)
    postgres_goes_away(world)

    assert (await type_code(world, await opened(world))).state is ChallengeState.VERIFIED


async def test_a_new_name_is_in_the_cache(world: World):
    app = await world.enroll_app()
    session = await elevated(world, await signed_in(world))
    await look_after.rename(world.ports, session, app.id, "Work phone")

    assert [a.name for a in await cached(world)] == ["Work phone"]


async def test_recovery_codes_are_offered_from_the_cache_once_they_are_confirmed(world: World):
    await world.enroll_app()
    await recovery_codes(world, confirmed=False)
    assert [a.method for a in await cached(world) if a.usable] == [Method.TOTP]

    await recovery_codes(world)
    assert {a.method for a in await cached(world) if a.usable} == {
        Method.TOTP,
        Method.RECOVERY_CODE,
    }


@pytest.mark.parametrize("by", ["subject", "administrator"])
async def test_a_removed_authenticator_leaves_the_cache(world: World, by: str):
    app = await world.enroll_app(name="Stays")
    session = await elevated(world, await signed_in(world))
    lost = await world.enroll_app(name="Lost")
    if by == "subject":
        await look_after.remove(world.ports, session, lost.id, consequence_accepted=True)
    else:
        await provision.remove(world.ports, world.subject(), lost.id)

    assert list(await cached(world)) == [app]


async def test_the_last_one_that_is_removed_leaves_the_subject_unknown(world: World):
    app = await world.enroll_app()
    await opened(world)
    await provision.remove(world.ports, world.subject(), app.id)

    assert await cached(world) is None


async def test_a_renewal_that_cannot_be_read_forgets_what_it_may_not_trust(world: World):
    await world.enroll_app()
    await opened(world)
    postgres_goes_away(world)
    await renew(world.ports, world.subject())

    assert await cached(world) is None


# --- attacks ------------------------------------------------------------------------------------


async def test_a_retired_authenticator_in_an_old_list_is_not_even_offered(world: World):
    app = await world.enroll_app()
    stays, _ = await world.enroll_passkey()
    await opened(world)
    old = await cached(world)
    await provision.remove(world.ports, world.subject(), app.id)
    await world.ports.state.credentials.put(world.subject(), old, world.clock.now())
    postgres_goes_away(world)

    assert list(await offered(world)) == [stays]


async def test_a_challenge_opened_from_the_cache_refuses_what_was_retired_since(world: World):
    app = await world.enroll_app()
    await opened(world)
    postgres = world.ports
    postgres_goes_away(world)
    challenge_id = await opened(world)
    await provision.remove(postgres, world.subject(), app.id)

    with pytest.raises(VerificationFailedError):
        await type_code(world, challenge_id)


async def test_a_code_that_was_used_before_the_outage_is_refused_in_it(world: World):
    await world.enroll_app()
    await type_code(world, await opened(world))
    postgres_goes_away(world)
    challenge_id = await opened_by_client(world)

    world.clock.advance(-timedelta(seconds=30))
    with pytest.raises(VerificationFailedError):
        await type_code(world, challenge_id, BANK)


async def test_a_counter_that_goes_back_is_refused_while_postgres_is_away(world: World):
    _, passkey = await world.enroll_passkey(sign_count=7)
    await opened(world, "5000.00")
    postgres_goes_away(world)
    passkey.sign_count = 5

    with pytest.raises(VerificationFailedError):
        await touch(world, await opened(world, "5000.00"), passkey)


async def test_a_counter_that_was_used_in_the_outage_is_compared_too(world: World):
    _, passkey = await world.enroll_passkey(sign_count=7)
    await opened(world, "5000.00")
    postgres_goes_away(world)
    await touch(world, await opened(world, "5000.00"), passkey)
    # A clone of it, made before that.
    passkey.sign_count -= 1

    with pytest.raises(VerificationFailedError):
        await touch(world, await opened(world, "5000.00"), passkey)
