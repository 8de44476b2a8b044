"""Recovery codes: shown once, inert until one was burned, each burned once."""

import asyncio

import pytest

from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    MethodNotUsableError,
    StepUpRequiredError,
    TooManyAttemptsError,
    VerificationFailedError,
)
from stepup.usecases import answer, enroll, holder, recovery
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import (
    BROWSER,
    audited,
    elevated,
    elevating,
    finish_elevating,
    last_audited,
    methods_of,
    opened,
    recovery_codes,
    session_of,
    signed_in,
)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


def kept(world: World):
    return next(
        a
        for a in world.ports.database.tables.authenticators.values()
        if a.method is Method.RECOVERY_CODE
    )


async def burning(world: World, challenge_id, code: str) -> Challenge:
    return await answer.answer_with_recovery_code(
        world.ports, challenge_id, BROWSER, code, an_attempt()
    )


async def lose_the_app(world: World) -> None:
    async with world.ports.database.transaction() as stores:
        for enrolled in await stores.authenticators.of_subject(world.subject()):
            if enrolled.method is Method.TOTP:
                await stores.authenticators.remove(world.subject(), enrolled.id)


async def test_ten_codes_are_made_and_only_their_digests_kept(world: World):
    codes = await recovery_codes(world, confirmed=False)

    assert len(set(codes)) == 10
    stored = kept(world)
    assert len(stored.credential.digests) == 10
    assert all(code.encode() not in d for code in codes for d in stored.credential.digests)
    event = await last_audited(world.ports, AuditKind.RECOVERY_CODES_GENERATED)
    assert event.details == {"count": 10}
    assert all(code not in str(e) for e in await audited(world.ports) for code in codes)


async def test_making_them_needs_a_step_up(world: World):
    session = await session_of(world, await signed_in(world))

    with pytest.raises(StepUpRequiredError):
        await recovery.prepare(world.ports, session)
    with pytest.raises(StepUpRequiredError):
        await recovery.generate(world.ports, session)


async def test_a_new_set_is_inert_until_one_was_burned(world: World):
    codes = await recovery_codes(world, confirmed=False)
    await lose_the_app(world)
    secret = await signed_in(world)
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    with pytest.raises(MethodNotUsableError):
        await burning(world, challenge_id, codes[0])

    await recovery.confirm(world.ports, await session_of(world, secret), codes[0])
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    assert (await burning(world, challenge_id, codes[1])).state is ChallengeState.VERIFIED


async def test_a_code_reads_the_same_however_it_is_typed(world: World):
    codes = await recovery_codes(world, confirmed=False)
    session = await session_of(world, await signed_in(world))
    await recovery.confirm(world.ports, session, codes[3].replace("-", " ").lower())

    assert kept(world).credential.confirmed
    assert len(kept(world).credential.digests) == 9


async def test_a_burned_code_does_not_confirm_again(world: World):
    codes = await recovery_codes(world, confirmed=False)
    session = await session_of(world, await signed_in(world))
    await recovery.confirm(world.ports, session, codes[0])

    with pytest.raises(VerificationFailedError):
        await recovery.confirm(world.ports, session, codes[0])


async def test_a_wrong_code_confirms_nothing(world: World):
    await recovery_codes(world, confirmed=False)
    session = await session_of(world, await signed_in(world))
    for wrong in ("", "AAAA-AAAA-AAAA-AAAA", "x" * 5000):
        with pytest.raises(VerificationFailedError):
            await recovery.confirm(world.ports, session, wrong)

    assert not kept(world).credential.confirmed


async def test_guessing_is_paused(world: World):
    await recovery_codes(world, confirmed=False)
    session = await session_of(world, await signed_in(world))
    for _ in range(5):
        with pytest.raises(VerificationFailedError):
            await recovery.confirm(world.ports, session, "AAAA-AAAA-AAAA-AAAA")

    with pytest.raises(TooManyAttemptsError):
        await recovery.confirm(world.ports, session, "AAAA-AAAA-AAAA-AAAA")


async def test_nobody_confirms_codes_that_were_not_made(world: World):
    session = await session_of(world, await signed_in(world))

    with pytest.raises(AuthenticatorNotFoundError):
        await recovery.confirm(world.ports, session, "AAAA-AAAA-AAAA-AAAA")


async def test_a_new_set_kills_the_old_one(world: World):
    old = await recovery_codes(world)
    new = await recovery_codes(world, confirmed=False)
    session = await session_of(world, await signed_in(world))
    with pytest.raises(VerificationFailedError):
        await recovery.confirm(world.ports, session, old[0])

    await recovery.confirm(world.ports, session, new[0])
    assert (await methods_of(world)).count(Method.RECOVERY_CODE) == 1


async def test_a_code_is_burned_once_by_twenty_callers(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    challenges = [await elevating(world, secret, "urn:stepup:acr:1") for _ in range(4)]
    results = await asyncio.gather(
        *(burning(world, challenge_id, codes[0]) for challenge_id in challenges * 5),
        return_exceptions=True,
    )

    assert sum(isinstance(r, Challenge) for r in results) == 1
    assert len(kept(world).credential.digests) == 8


async def test_burning_directly_is_atomic_too(world: World):
    codes = await recovery_codes(world)
    stored = kept(world)
    burned = await asyncio.gather(
        *(recovery.burn(world.ports, stored, codes[0]) for _ in range(20))
    )

    assert burned.count(True) == 1


async def test_a_code_burned_elsewhere_meanwhile_does_not_answer(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    await recovery.burn(world.ports, kept(world), codes[0])

    with pytest.raises(VerificationFailedError):
        await burning(world, challenge_id, codes[0])


async def test_a_set_replaced_meanwhile_does_not_answer(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    await recovery_codes(world)

    with pytest.raises(VerificationFailedError):
        await burning(world, challenge_id, codes[0])


async def test_burning_one_in_a_challenge_is_audited(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    await burning(world, await elevating(world, secret, "urn:stepup:acr:1"), codes[0])

    event = await last_audited(world.ports, AuditKind.CHALLENGE_VERIFIED)
    assert event.details["method"] == "recovery_code"
    assert event.details["authenticator"] == kept(world).id


async def test_who_lost_everything_enrolls_something_new_with_a_code(world: World):
    codes = await recovery_codes(world)
    await lose_the_app(world)
    secret = await signed_in(world)
    with pytest.raises(StepUpRequiredError) as caught:
        await enroll.begin_totp(world.ports, await session_of(world, secret))
    assert caught.value.requirement.acr == "urn:stepup:acr:1"

    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    await burning(world, challenge_id, codes[0])
    await finish_elevating(world, secret, challenge_id)
    assert await enroll.begin_totp(world.ports, await session_of(world, secret))


async def test_a_recovery_code_reaches_the_lowest_level_and_no_other(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    await burning(world, challenge_id, codes[0])
    await finish_elevating(world, secret, challenge_id)
    session = await session_of(world, secret)
    assert session.elevation.acr == "urn:stepup:acr:1"
    with pytest.raises(StepUpRequiredError):
        await recovery.generate(world.ports, session)

    payment = await world.ports.state.challenges.find(await opened(world))
    assert Method.RECOVERY_CODE not in holder.answerable_methods(world.ports, payment)


async def test_an_elevated_session_sees_the_present_set(world: World):
    session = await elevated(world, await signed_in(world))
    assert await recovery.prepare(world.ports, session) is None

    await recovery.generate(world.ports, session)
    assert (await recovery.prepare(world.ports, session)).id == kept(world).id
