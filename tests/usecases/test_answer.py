"""Answers: each is counted, each secret is used once, the facts decide how far they reach."""

import asyncio
from datetime import timedelta

import pytest

from stepup.ceremonies import webauthn
from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    CeremonyExpiredError,
    ChallengeNotPendingError,
    MethodNotUsableError,
    StepUpError,
    TooManyAttemptsError,
    VerificationFailedError,
    WrongBrowserError,
)
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.usecases import answer, authorize, finish, holder
from stepup.usecases.holder import Browser
from tests.support.authenticator import Lie, SoftwareAuthenticator
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import (
    BANK,
    BROWSER,
    a_push,
    audited,
    fresh_code,
    kinds,
    last_audited,
    opened,
    opened_by_client,
    recovery_codes,
    redeemed,
    touch,
    type_code,
)

TWO_FACTORS = """
apiVersion: stepup/v1
levels:
  basic: {any_of: [[totp], [webauthn], [recovery_code]], max_age: 1h}
  both: {any_of: [[totp, {method: webauthn, user_verified: true}]], max_age: 5m}
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: both}
"""


def won(answers: list[Challenge | BaseException]) -> list[Challenge]:
    """Return what succeeded; everything else must be a refusal of ours."""
    assert all(isinstance(a, Challenge | StepUpError) for a in answers), answers
    return [a for a in answers if isinstance(a, Challenge)]


async def answer_code(
    world: World, challenge_id: ChallengeId, code: str, attempt: AttemptId | None = None
) -> Challenge:
    return await answer.answer_with_code(
        world.ports, challenge_id, BROWSER, code, attempt or an_attempt()
    )


# --- codes of an app --------------------------------------------------------------------------


async def test_the_right_code_verifies_the_challenge(world: World):
    app = await world.enroll_app()
    answered = await type_code(world, await opened(world))

    assert answered.state is ChallengeState.VERIFIED
    assert answered.verified_at == world.clock.now()
    event = await last_audited(world.ports, AuditKind.CHALLENGE_VERIFIED)
    assert event.details == {"method": "totp", "authenticator": app.id, "seconds": 30}
    assert event.subject_id == world.subject().id
    assert event.action == "payments.transfer"


async def test_an_answer_moves_the_last_use_forward(world: World):
    app = await world.enroll_app()
    await type_code(world, await opened(world))
    await audited(world.ports)

    assert world.ports.database.tables.authenticators[app.id].last_used_at == world.clock.now()


async def test_a_wrong_code_is_audited_without_the_code(world: World):
    await world.enroll_app()
    wrong = world.wrong_code()
    with pytest.raises(VerificationFailedError) as caught:
        await answer_code(world, await opened(world), wrong)

    assert caught.value.tries_left == 4
    event = await last_audited(world.ports, AuditKind.CHALLENGE_FAILED)
    assert event.details == {"method": "totp", "reason": "wrong_code"}
    assert wrong not in str(event)


@pytest.mark.parametrize("steps", [-2, 2])
async def test_a_code_of_another_time_is_wrong(world: World, steps: int):
    await world.enroll_app()
    code = world.code(timedelta(seconds=30 * steps))

    with pytest.raises(VerificationFailedError):
        await answer_code(world, await opened(world), code)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\0", "9" * 5000])
async def test_what_is_no_code_is_wrong(world: World, code: str):
    await world.enroll_app()

    with pytest.raises(VerificationFailedError):
        await answer_code(world, await opened(world), code)


async def test_the_second_use_of_a_code_is_refused_in_every_challenge(world: World):
    await world.enroll_app()
    first, second = await opened(world), await opened(world)
    code = fresh_code(world)
    await answer_code(world, first, code)

    with pytest.raises(VerificationFailedError):
        await answer_code(world, second, code)


async def test_an_older_code_is_refused_after_a_newer_one(world: World):
    await world.enroll_app()
    older = world.code(timedelta(seconds=-30))
    await answer_code(world, await opened(world), world.code())

    with pytest.raises(VerificationFailedError):
        await answer_code(world, await opened(world), older)


async def test_of_twenty_concurrent_correct_answers_one_wins(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    code = fresh_code(world)
    answers = await asyncio.gather(
        *(answer_code(world, challenge_id, code) for _ in range(20)), return_exceptions=True
    )

    assert len(won(answers)) == 1
    verified = [k for k in await kinds(world.ports) if k is AuditKind.CHALLENGE_VERIFIED]
    assert len(verified) == 1


async def test_one_code_answers_one_of_twenty_challenges(world: World):
    await world.enroll_app()
    challenges = [await opened(world) for _ in range(5)]
    code = fresh_code(world)
    answers = await asyncio.gather(
        *(answer_code(world, challenge_id, code) for challenge_id in challenges),
        return_exceptions=True,
    )

    assert len(won(answers)) == 1


async def test_the_same_attempt_gets_the_same_answer(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    code, attempt = fresh_code(world), AttemptId("attempt-1")
    first = await answer_code(world, challenge_id, code, attempt)
    again = await answer_code(world, challenge_id, code, attempt)

    assert first.state is again.state is ChallengeState.VERIFIED
    assert first.verified_at == again.verified_at


async def test_an_attempt_repeated_with_other_codes_gives_no_free_guesses(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    attempt, refusals = AttemptId("attempt-1"), []
    for _ in range(20):
        with pytest.raises(StepUpError) as caught:
            await answer_code(world, challenge_id, world.wrong_code(), attempt)
        refusals.append(type(caught.value))

    assert refusals.count(VerificationFailedError) <= 5
    assert refusals[-1] is TooManyAttemptsError


async def test_five_wrong_codes_pause_the_method_over_all_challenges(world: World):
    await world.enroll_app()
    for _ in range(5):
        with pytest.raises(VerificationFailedError):
            await answer_code(world, await opened(world), world.wrong_code())

    elsewhere = await opened(world)
    with pytest.raises(TooManyAttemptsError) as caught:
        await type_code(world, elsewhere)
    assert timedelta(0) < caught.value.retry_after <= timedelta(minutes=15)


async def test_the_pause_ends_by_itself(world: World):
    await world.enroll_app()
    for _ in range(5):
        with pytest.raises(VerificationFailedError):
            await answer_code(world, await opened(world), world.wrong_code())
    world.clock.advance(timedelta(minutes=15))

    assert (await type_code(world, await opened(world))).state is ChallengeState.VERIFIED


async def test_a_success_gives_all_attempts_back(world: World):
    await world.enroll_app()
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(VerificationFailedError):
                await answer_code(world, await opened(world), world.wrong_code())
        await type_code(world, await opened(world))


async def test_a_stranger_s_wrong_codes_do_not_count_against_the_subject(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    for _ in range(10):
        with pytest.raises(WrongBrowserError):
            await answer.answer_with_code(
                world.ports, challenge_id, Browser("another"), world.wrong_code(), an_attempt()
            )

    assert (await type_code(world, challenge_id)).state is ChallengeState.VERIFIED


async def test_five_wrong_codes_leave_the_passkey_usable(world: World):
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(VerificationFailedError) as caught:
            await answer_code(world, challenge_id, world.wrong_code())
        assert caught.value.tries_left == left
    with pytest.raises(VerificationFailedError) as caught:
        await type_code(world, challenge_id)
    assert caught.value.tries_left == 0

    assert (await touch(world, challenge_id, passkey)).state is ChallengeState.VERIFIED


async def test_a_method_that_cannot_reach_the_level_is_not_usable(world: World):
    await world.enroll_app()
    await world.enroll_passkey()

    with pytest.raises(MethodNotUsableError):
        await type_code(world, await opened(world, "5000.00"))


async def test_a_cancelled_challenge_cannot_be_answered(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    await finish.cancel(world.ports, challenge_id, BROWSER)

    with pytest.raises(ChallengeNotPendingError):
        await type_code(world, challenge_id)


async def test_any_of_several_apps_may_answer(world: World):
    await world.enroll_app(name="Old phone")
    newer = await world.enroll_app(name="New phone")
    answered = await type_code(world, await opened(world))

    assert answered.state is ChallengeState.VERIFIED
    assert newer.id in {a.id for a in answered.authenticators}


async def test_a_client_answers_on_its_own_screens(world: World):
    await world.enroll_app()
    answered = await type_code(world, await opened_by_client(world), BANK)

    assert answered.state is ChallengeState.VERIFIED


# --- passkeys ---------------------------------------------------------------------------------


async def test_a_passkey_reaches_the_level_of_its_facts(world: World):
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    answered = await touch(world, await opened(world, "5000.00"), passkey)

    assert answered.state is ChallengeState.VERIFIED
    assert answered.passed[0].user_verified
    assert answered.passed[0].device_bound


async def test_the_options_ask_for_what_the_level_needs_and_name_our_passkeys(world: World):
    _, passkey = await world.enroll_passkey()
    begun = await answer.begin_passkey(world.ports, await opened(world, "5000.00"), BROWSER)

    assert begun.options["userVerification"] == "required"
    assert begun.options["rpId"] == "stepup.example"
    assert len(begun.options["allowCredentials"]) == 1
    assert passkey.answer(begun.options)["id"] == begun.options["allowCredentials"][0]["id"]


async def test_a_touch_without_verification_is_not_more_than_a_touch(world: World):
    _, passkey = await world.enroll_passkey()
    passkey.user_verified = False

    with pytest.raises(VerificationFailedError):
        await touch(world, await opened(world, "5000.00"), passkey)


async def test_of_twenty_concurrent_answers_to_one_ceremony_one_wins(world: World):
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world, "5000.00")
    begun = await answer.begin_passkey(world.ports, challenge_id, BROWSER)
    credential = passkey.answer(begun.options)
    answers = await asyncio.gather(
        *(
            answer.answer_with_passkey(world.ports, challenge_id, BROWSER, credential, an_attempt())
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    assert len(won(answers)) == 1


async def test_a_ceremony_is_spent_by_a_wrong_answer_too(world: World):
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world, "5000.00")
    begun = await answer.begin_passkey(world.ports, challenge_id, BROWSER)
    forged = passkey.answer(begun.options, Lie(signature=b"forged"))
    with pytest.raises(VerificationFailedError):
        await answer.answer_with_passkey(world.ports, challenge_id, BROWSER, forged, an_attempt())

    with pytest.raises(CeremonyExpiredError):
        await answer.answer_with_passkey(
            world.ports, challenge_id, BROWSER, passkey.answer(begun.options), an_attempt()
        )


async def test_a_ceremony_expires_after_five_minutes(world: World):
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world, "5000.00")
    begun = await answer.begin_passkey(world.ports, challenge_id, BROWSER)
    world.clock.advance(timedelta(minutes=5))

    with pytest.raises(CeremonyExpiredError):
        await answer.answer_with_passkey(
            world.ports, challenge_id, BROWSER, passkey.answer(begun.options), an_attempt()
        )


async def test_the_ceremony_of_another_challenge_answers_nothing_here(world: World):
    _, passkey = await world.enroll_passkey()
    here, there = await opened(world, "5000.00"), await opened(world, "5000.00")
    begun = await answer.begin_passkey(world.ports, there, BROWSER)
    await answer.begin_passkey(world.ports, here, BROWSER)

    with pytest.raises(CeremonyExpiredError):
        await answer.answer_with_passkey(
            world.ports, here, BROWSER, passkey.answer(begun.options), an_attempt()
        )


async def test_a_counter_that_goes_back_is_refused_and_audited(world: World):
    enrolled, passkey = await world.enroll_passkey(sign_count=5)
    clone = passkey.twin()
    await touch(world, await opened(world, "5000.00"), passkey)
    with pytest.raises(VerificationFailedError):
        await touch(world, await opened(world, "5000.00"), clone)

    event = await last_audited(world.ports, AuditKind.SIGN_COUNT_REGRESSED)
    assert event.details == {"authenticator": enrolled.id}


async def test_a_counter_is_remembered_for_the_database(world: World):
    enrolled, passkey = await world.enroll_passkey(sign_count=5)
    await touch(world, await opened(world, "5000.00"), passkey)
    await audited(world.ports)

    assert world.ports.database.tables.authenticators[enrolled.id].credential.sign_count == 6


async def test_no_passkey_no_ceremony(world: World):
    await world.enroll_app()

    with pytest.raises(MethodNotUsableError):
        await answer.begin_passkey(world.ports, await opened(world), BROWSER)


@pytest.mark.parametrize("credential", [{}, {"id": 1}, {"id": "x", "response": "y"}])
async def test_what_is_no_assertion_is_refused(world: World, credential: dict):
    await world.enroll_passkey()
    challenge_id = await opened(world, "5000.00")

    with pytest.raises(VerificationFailedError):
        await answer.answer_with_passkey(
            world.ports, challenge_id, BROWSER, credential, an_attempt()
        )


# --- recovery codes ---------------------------------------------------------------------------


async def test_a_recovery_code_does_not_approve_a_payment(world: World):
    await world.enroll_app()
    codes = await recovery_codes(world)

    with pytest.raises(MethodNotUsableError):
        await answer.answer_with_recovery_code(
            world.ports, await opened(world), BROWSER, codes[0], an_attempt()
        )


# --- combinations -----------------------------------------------------------------------------


async def test_a_combination_needs_all_its_factors():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world)

    half = await type_code(world, challenge_id)
    assert half.state is ChallengeState.PENDING
    with pytest.raises(ChallengeNotPendingError):
        await finish.issue_code(world.ports, challenge_id, BROWSER)
    whole = await touch(world, challenge_id, passkey)
    assert whole.state is ChallengeState.VERIFIED

    code = (await finish.issue_code(world.ports, challenge_id, BROWSER)).code
    token = (await redeemed(world, code)).token
    assert token.acr == "both"
    assert set(token.amr) == {"otp", "hwk", "user", "mfa"}
    assert await kinds(world.ports) == [
        AuditKind.CHALLENGE_OPENED,
        AuditKind.CHALLENGE_ADVANCED,
        AuditKind.CHALLENGE_VERIFIED,
        AuditKind.TOKEN_ISSUED,
    ]


async def test_one_factor_twice_is_not_two_factors():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    await world.enroll_passkey()
    challenge_id = await opened(world)
    await type_code(world, challenge_id)

    with pytest.raises(MethodNotUsableError):
        await type_code(world, challenge_id)


async def test_a_subject_with_one_of_two_factors_has_nothing_to_answer_with():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    challenge = await world.ports.state.challenges.find(await opened(world))

    assert challenge.methods == ()


async def test_both_factors_answered_at_once_are_enough_after_all():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    challenge_id = await opened(world)
    answers = await asyncio.gather(
        type_code(world, challenge_id), touch(world, challenge_id, passkey), return_exceptions=True
    )

    assert len(won(answers)) == 2
    challenge = await world.ports.state.challenges.find(challenge_id)
    assert {facts.method for facts in challenge.passed} == {Method.TOTP, Method.WEBAUTHN}
    assert challenge.state is ChallengeState.VERIFIED
    assert await kinds(world.ports) == [
        AuditKind.CHALLENGE_OPENED,
        AuditKind.CHALLENGE_ADVANCED,
        AuditKind.CHALLENGE_VERIFIED,
    ]
    assert (await finish.issue_code(world.ports, challenge_id, BROWSER)).code


# --- what an attacker tried -------------------------------------------------------------------


async def test_one_code_with_one_attempt_answers_one_challenge(world: World):
    await world.enroll_app()
    first, second = await opened(world), await opened(world)
    typed, attempt = fresh_code(world), AttemptId("chosen by the browser")

    await answer.answer_with_code(world.ports, first, BROWSER, typed, attempt)

    with pytest.raises(VerificationFailedError):
        await answer.answer_with_code(world.ports, second, BROWSER, typed, attempt)


async def a_key_without_pin(world: World) -> SoftwareAuthenticator:
    """A security key as alice registered it: setting a PIN later needs no knowledge at all."""
    key = SoftwareAuthenticator(origin=world.site.origins[0], user_verified=False)
    options = webauthn.creation_options(
        rp_id=world.site.rp_id,
        rp_name="stepup",
        webauthn_challenge=b"c" * 32,
        user_handle=webauthn.user_handle(world.subject()),
        user_name="alice",
        display_name="Alice",
        existing=[],
    )
    record = webauthn.verify_registration(
        key.register(options),
        expected_challenge=b"c" * 32,
        expected_rp_id=world.site.rp_id,
        expected_origins=world.site.origins,
        require_user_verification=False,
    )
    await world.enroll(record, name="Security key")
    return key


async def asked_for_a_level(world: World, acr: str) -> ChallengeId:
    push = a_push(world, acr_values=acr)
    accepted = await authorize.push(world.ports, world.bank, push, an_attempt())
    return (await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)).id


async def test_a_stolen_key_on_which_the_thief_set_a_pin_gives_no_phr(world: World):
    await world.enroll_passkey()
    key = await a_key_without_pin(world)
    key.user_verified = True

    with pytest.raises(VerificationFailedError):
        await touch(world, await opened(world, "5000.00"), key)


async def test_a_verification_that_was_not_there_at_registration_is_not_believed(world: World):
    key = await a_key_without_pin(world)
    key.user_verified = True

    passed = await touch(world, await asked_for_a_level(world, "urn:stepup:acr:1"), key)

    assert [facts.user_verified for facts in passed.passed] == [False]
