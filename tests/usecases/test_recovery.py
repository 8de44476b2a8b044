"""Recovery codes: shown once, inert until one was burned, each burned once."""

import asyncio
from datetime import datetime

import pytest
from typing_extensions import override

from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import Authenticator
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    MethodNotUsableError,
    OutcomeUnknownError,
    StepUpRequiredError,
    TooManyAttemptsError,
    VerificationFailedError,
)
from stepup.domain.ids import AttemptId
from stepup.ports import Permit
from stepup.usecases import answer, enroll, holder, recovery
from stepup.usecases.account_guard import ADD
from tests.support.builders import an_attempt
from tests.support.memory_challenges import MemoryChallengeStore
from tests.support.world import World
from tests.usecases.steps import (
    BROWSER,
    audited,
    elevated,
    elevating,
    finish_elevating,
    kinds,
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


async def burning(
    world: World, challenge_id, code: str, attempt: AttemptId | None = None
) -> Challenge:
    return await answer.answer_with_recovery_code(
        world.ports, challenge_id, BROWSER, code, attempt or an_attempt()
    )


async def burning_directly(world: World, stored: Authenticator, code: str) -> bool:
    event = AuditEvent(kind=AuditKind.RECOVERY_CODE_USED, at=world.clock.now())
    return await recovery.burn(world.ports, stored, code, event, an_attempt())


class FinishIsLostOnce(MemoryChallengeStore):
    """The first answer does not reach the store, as when Redis fails between two calls."""

    lost = False

    @override
    async def finish_answer(
        self, permit: Permit, facts: CeremonyFacts, *, verified: bool, now: datetime
    ) -> Challenge:
        if not self.lost:
            self.lost = True
            raise OutcomeUnknownError
        return await super().finish_answer(permit, facts, verified=verified, now=now)


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
    burned = await asyncio.gather(*(burning_directly(world, stored, codes[0]) for _ in range(20)))

    assert burned.count(True) == 1


async def test_a_code_burned_elsewhere_meanwhile_does_not_answer(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    challenge_id = await elevating(world, secret, "urn:stepup:acr:1")
    await burning_directly(world, kept(world), codes[0])

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


async def test_a_burn_is_recorded_in_a_challenge_and_on_the_account_page(world: World):
    codes = await recovery_codes(world)
    session = await session_of(world, await signed_in(world))
    on_the_page = await last_audited(world.ports, AuditKind.RECOVERY_CODE_USED)
    assert on_the_page.subject_id == session.identity.subject.id
    assert on_the_page.details == {"authenticator": kept(world).id, "left": 9}

    challenge_id = await elevating(world, await signed_in(world), "urn:stepup:acr:1")
    await burning(world, challenge_id, codes[0])
    in_the_challenge = await last_audited(world.ports, AuditKind.RECOVERY_CODE_USED)
    assert in_the_challenge.challenge_id == challenge_id
    assert in_the_challenge.details == {"authenticator": kept(world).id, "left": 8}
    assert all(code not in str(e) for e in await audited(world.ports) for code in codes)


async def test_a_wrong_code_burns_and_records_nothing(world: World):
    await recovery_codes(world)
    before = await kinds(world.ports)
    challenge_id = await elevating(world, await signed_in(world), "urn:stepup:acr:1")
    with pytest.raises(VerificationFailedError):
        await burning(world, challenge_id, "AAAA-AAAA-AAAA-AAAA")

    used = AuditKind.RECOVERY_CODE_USED
    assert (await kinds(world.ports)).count(used) == before.count(used)


async def test_the_same_attempt_may_come_again_when_what_follows_the_burn_was_lost():
    world = World()
    challenges = FinishIsLostOnce(world.clock)
    challenges.lost = True
    state = world.ports.state._replace(challenges=challenges)
    world.ports = world.ports._replace(state=state)
    await world.enroll_app()
    codes = await recovery_codes(world)
    challenge_id = await elevating(world, await signed_in(world), "urn:stepup:acr:1")
    attempt = an_attempt()
    challenges.lost = False
    with pytest.raises(OutcomeUnknownError):
        await burning(world, challenge_id, codes[0], attempt)

    answered = await burning(world, challenge_id, codes[0], attempt)
    assert answered.state is ChallengeState.VERIFIED
    assert len(kept(world).credential.digests) == 8
    assert (await kinds(world.ports)).count(AuditKind.RECOVERY_CODE_USED) == 2


async def test_an_attempt_of_one_challenge_burns_nothing_in_another(world: World):
    codes = await recovery_codes(world)
    secret = await signed_in(world)
    first = await elevating(world, secret, "urn:stepup:acr:1")
    second = await elevating(world, secret, "urn:stepup:acr:1")
    attempt = an_attempt()
    await burning(world, first, codes[0], attempt)

    with pytest.raises(VerificationFailedError):
        await burning(world, second, codes[0], attempt)


async def test_who_lost_everything_enrolls_something_new_with_a_code(world: World):
    codes = await recovery_codes(world)
    await lose_the_app(world)
    secret = await signed_in(world)
    with pytest.raises(StepUpRequiredError) as caught:
        await enroll.begin_totp(world.ports, await session_of(world, secret))
    assert caught.value.requirement.acr == "urn:stepup:acr:1"

    challenge_id = await elevating(world, secret, "urn:stepup:acr:1", ADD)
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
