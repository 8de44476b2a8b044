"""What the stores of steps, attempts, tokens and replays promise."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from stepup.domain.assurance import Method
from stepup.domain.challenge import METHOD_PAUSE, TRIES_PER_METHOD, Challenge
from stepup.domain.errors import (
    DependencyUnavailableError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
    TooManyAttemptsError,
)
from stepup.domain.ids import AuthenticatorId, ChallengeId, SubjectId, TokenId
from stepup.domain.revocation import Revocation
from stepup.ports import State, UnknownTokenError
from tests.contracts.challenges import answer, gather
from tests.support.builders import (
    a_challenge,
    a_presented_code,
    a_requirement,
    a_subject,
    an_attempt,
    an_authorization,
)
from tests.support.determinism import StillClock

SECOND = timedelta(seconds=1)
ONE_BACK = METHOD_PAUSE / TRIES_PER_METHOD


class StepStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def who(self) -> tuple[SubjectId, AuthenticatorId]:
        return a_subject().id, AuthenticatorId(secrets.token_urlsafe(8))

    async def test_accepts_only_larger_steps(self, states, who):
        store = states[0].steps
        steps = [0, 0, 7, 6, 7, 8, 2**40, 2**40 - 1]
        accepted = [await store.accept(*who, step) for step in steps]
        assert accepted == [True, False, True, False, False, True, True, False]

    async def test_accepts_nothing_of_a_retired_authenticator(self, states, who):
        store = states[0].steps
        assert await store.accept(*who, 5)
        assert not await store.is_retired(*who)
        await store.retire(*who)
        await store.retire(*who)
        assert await states[1].steps.is_retired(*who)
        assert not await store.accept(*who, 58_000_000)
        assert not await store.accept(*who, 2**32)

    async def test_a_code_is_accepted_once_of_64_concurrent(self, states, who):
        accepted = await asyncio.gather(
            *(states[i % 2].steps.accept(*who, 58_000_000, an_attempt()) for i in range(64))
        )
        assert sum(accepted) == 1

    async def test_concurrent_callers_without_attempts_are_strangers(self, states, who):
        accepted = await asyncio.gather(
            *(states[i % 2].steps.accept(*who, 58_000_000) for i in range(64))
        )
        assert sum(accepted) == 1

    async def test_an_attempt_that_repeats_its_own_step_gets_it_again(self, states, who):
        attempt = an_attempt()
        assert await states[0].steps.accept(*who, 7, attempt)
        assert await states[1].steps.accept(*who, 7, attempt)
        assert not await states[1].steps.accept(*who, 6, attempt)
        assert not await states[1].steps.accept(*who, 7, an_attempt())
        assert await states[1].steps.accept(*who, 8, an_attempt())
        assert not await states[0].steps.accept(*who, 7, attempt)

    async def test_keeps_authenticators_and_subjects_apart(self, states, who):
        store, (subject_id, authenticator_id) = states[0].steps, who
        assert await store.accept(subject_id, authenticator_id, 7)
        assert await store.accept(subject_id, AuthenticatorId("another"), 7)
        assert await store.accept(a_subject().id, authenticator_id, 7)


class RecoveryCodeStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def who(self) -> tuple[SubjectId, AuthenticatorId]:
        return a_subject().id, AuthenticatorId(secrets.token_urlsafe(8))

    async def test_a_code_is_given_to_one_of_64_concurrent_attempts(self, states, who):
        given = await asyncio.gather(
            *(states[i % 2].recovery_codes.spend(*who, b"code", an_attempt()) for i in range(64))
        )
        assert sum(given) == 1

    async def test_the_same_attempt_gets_it_again(self, states, who):
        attempt = an_attempt()
        for state in states:
            assert await state.recovery_codes.spend(*who, b"code", attempt)
        assert not await states[1].recovery_codes.spend(*who, b"code", an_attempt())

    async def test_keeps_codes_sets_and_subjects_apart(self, states, who):
        store, attempt, (subject_id, authenticator_id) = states[0].recovery_codes, an_attempt(), who
        assert await store.spend(*who, b"code", attempt)
        for other in (
            (subject_id, authenticator_id, b"another"),
            (subject_id, AuthenticatorId("another"), b"code"),
            (a_subject().id, authenticator_id, b"code"),
        ):
            assert await store.spend(*other, an_attempt())

    async def test_nobody_gets_a_void_code_but_who_had_it(self, states, who):
        attempt = an_attempt()
        await states[0].recovery_codes.spend(*who, b"used", attempt)
        for _ in range(2):
            await states[0].recovery_codes.void(*who, [b"used", b"one", b"two"])
        for digest in (b"one", b"two"):
            assert not await states[1].recovery_codes.spend(*who, digest, an_attempt())
        assert await states[1].recovery_codes.spend(*who, b"used", attempt)
        assert await states[1].recovery_codes.spend(*who, b"three", an_attempt())

    async def test_voids_nothing(self, states, who):
        await states[0].recovery_codes.void(*who, [])


class AttemptStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def subject_id(self) -> SubjectId:
        return a_subject().id

    async def test_gives_five_attempts_to_many_concurrent_guesses(self, states, clock, subject_id):
        results = await gather(
            *(states[i % 2].attempts.spend(subject_id, Method.TOTP, clock.now()) for i in range(40))
        )
        assert sum(r is None for r in results) == TRIES_PER_METHOD
        refusals = [r for r in results if isinstance(r, TooManyAttemptsError)]
        assert {r.retry_after for r in refusals} == {ONE_BACK}

    async def test_one_attempt_comes_back_after_the_time_it_said(self, states, clock, subject_id):
        store = states[0].attempts
        await drain(store, subject_id, clock)
        clock.advance(ONE_BACK - SECOND)
        with pytest.raises(TooManyAttemptsError) as refused:
            await store.spend(subject_id, Method.TOTP, clock.now())
        assert refused.value.retry_after == SECOND

        clock.advance(SECOND)
        await store.spend(subject_id, Method.TOTP, clock.now())
        with pytest.raises(TooManyAttemptsError):
            await store.spend(subject_id, Method.TOTP, clock.now())

    async def test_all_come_back_after_the_pause(self, states, clock, subject_id):
        store = states[0].attempts
        await drain(store, subject_id, clock)
        clock.advance(METHOD_PAUSE)
        await drain(store, subject_id, clock)
        with pytest.raises(TooManyAttemptsError):
            await store.spend(subject_id, Method.TOTP, clock.now())

    async def test_a_success_gives_all_back(self, states, clock, subject_id):
        store = states[0].attempts
        await drain(store, subject_id, clock)
        await states[1].attempts.forgive(subject_id, Method.TOTP)
        await drain(store, subject_id, clock)

    async def test_forgiving_nothing_is_harmless(self, states, subject_id):
        await states[0].attempts.forgive(subject_id, Method.TOTP)

    async def test_pauses_one_method_of_one_subject(self, states, clock, subject_id):
        store = states[0].attempts
        await drain(store, subject_id, clock)
        await store.spend(subject_id, Method.RECOVERY_CODE, clock.now())
        await store.spend(a_subject().id, Method.TOTP, clock.now())


class TokenStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    # Whether there are replicas to hold anything.
    replicated = False

    @pytest.fixture
    async def challenge(self, states: tuple[State, State], clock: StillClock) -> Challenge:
        return await redeemed(states[0], clock, once=True)

    @pytest.fixture
    def token_id(self) -> TokenId:
        return TokenId(f"r1.x.{secrets.token_urlsafe(8)}")

    async def test_of_64_concurrent_consumers_one_gets_it(self, states, clock, challenge, token_id):
        results = await gather(
            *(
                states[i % 2].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())
                for i in range(64)
            )
        )
        assert sum(r == clock.now() for r in results) == 1
        assert sum(isinstance(r, TokenAlreadyConsumedError) for r in results) == 63

    async def test_the_same_attempt_gets_it_again(self, states, clock, challenge, token_id):
        attempt = an_attempt()
        first = await states[0].tokens.consume(challenge.id, token_id, attempt, clock.now())
        clock.advance(SECOND)
        again = await states[1].tokens.consume(challenge.id, token_id, attempt, clock.now())
        assert again == first

    async def test_who_is_too_late_hears_when_it_was(self, states, clock, challenge, token_id):
        used_at = clock.now()
        await states[0].tokens.consume(challenge.id, token_id, an_attempt(), used_at)
        clock.advance(SECOND)
        with pytest.raises(TokenAlreadyConsumedError) as refused:
            await states[1].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())
        assert refused.value.consumed_at == used_at

    async def test_without_a_replica_nothing_is_held_everywhere(
        self, states, clock, challenge, token_id
    ):
        consume = states[0].tokens.consume
        consumed = consume(challenge.id, token_id, an_attempt(), clock.now(), everywhere=True)
        if self.replicated:
            assert await consumed == clock.now()
            return
        with pytest.raises(DependencyUnavailableError):
            await consumed

    async def test_the_same_attempt_with_another_token_does_not(
        self, states, clock, challenge, token_id
    ):
        attempt = an_attempt()
        await states[0].tokens.consume(challenge.id, token_id, attempt, clock.now())
        with pytest.raises(TokenAlreadyConsumedError):
            await states[0].tokens.consume(
                challenge.id, TokenId("r1.x.other"), attempt, clock.now()
            )

    async def test_nothing_was_issued_for_an_unknown_challenge(self, states, clock, token_id):
        with pytest.raises(UnknownTokenError):
            await states[0].tokens.consume(
                ChallengeId("r1.nobody"), token_id, an_attempt(), clock.now()
            )

    async def test_a_token_that_may_be_used_again_is_not_consumed(self, states, clock, token_id):
        challenge = await redeemed(states[0], clock, once=False)
        with pytest.raises(UnknownTokenError):
            await states[0].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())
        assert not await states[0].tokens.is_usable(challenge.id)

    async def test_nothing_is_consumable_before_the_redemption(self, states, clock, token_id):
        challenge = a_challenge(now=clock.now())
        await states[0].challenges.open(challenge, None)
        await answer(states[0].challenges, challenge, clock)
        with pytest.raises(UnknownTokenError):
            await states[0].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

    async def test_a_repeated_redemption_does_not_make_it_new(self, states, clock, token_id):
        attempt = an_attempt()
        challenge = await redeemed(states[0], clock, once=True, attempt=attempt)
        await states[0].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

        code = a_presented_code(challenge, b"code")
        await states[0].challenges.redeem_code(code, attempt, clock.now())

        with pytest.raises(TokenAlreadyConsumedError):
            await states[0].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

    async def test_a_token_is_usable_until_it_is_consumed(self, states, clock, challenge, token_id):
        assert await states[1].tokens.is_usable(challenge.id)
        await states[0].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())
        assert not await states[1].tokens.is_usable(challenge.id)
        assert not await states[1].tokens.is_revoked(token_id)

    async def test_a_revoked_token_is_not_consumable(self, states, clock, challenge, token_id):
        await end(states[0], token_id, clock)
        assert await states[1].tokens.is_revoked(token_id)
        assert await states[1].tokens.is_usable(challenge.id)
        with pytest.raises(TokenNotConsumableError):
            await states[1].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

    async def test_revokes_one_token(self, states, clock, token_id):
        await end(states[0], token_id, clock)
        assert not await states[0].tokens.is_revoked(TokenId("r1.x.other"))


class ReplayStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def identifier(self) -> str:
        return secrets.token_urlsafe(8)

    async def test_of_64_concurrent_attempts_one_is_first(self, states, clock, identifier):
        until = clock.now() + timedelta(minutes=1)
        first = await asyncio.gather(
            *(
                states[i % 2].replays.remember("ticket", identifier, an_attempt(), until)
                for i in range(64)
            )
        )
        assert sum(first) == 1

    async def test_the_first_attempt_may_come_again(self, states, clock, identifier):
        attempt, until = an_attempt(), clock.now() + timedelta(minutes=1)
        for state in states:
            assert await state.replays.remember("ticket", identifier, attempt, until)
        assert not await states[0].replays.remember("ticket", identifier, an_attempt(), until)

    async def test_scopes_do_not_mix(self, states, clock, identifier):
        until = clock.now() + timedelta(minutes=1)
        for scope in ("ticket", "proof", "a.b", "a"):
            assert await states[0].replays.remember(scope, identifier, an_attempt(), until)

    async def test_takes_any_text_for_an_identifier(self, states, clock, identifier):
        until = clock.now() + timedelta(minutes=1)
        for hostile in ("", "}{", "a\r\nb", "\0", "ä" * 10_000, "{c.r1.x}:h"):
            named = hostile + identifier
            assert await states[0].replays.remember("ticket", named, an_attempt(), until)
            assert not await states[0].replays.remember("ticket", named, an_attempt(), until)


async def end(state: State, token_id: TokenId, clock: StillClock) -> None:
    """Revoke a token that would have lived for two minutes."""
    until = clock.now() + timedelta(minutes=2)
    await state.revocations.publish(Revocation.of_token(token_id, until, clock.now()))


async def drain(store, subject_id: SubjectId, clock: StillClock) -> None:
    """Spend all attempts of a full bucket."""
    for _ in range(TRIES_PER_METHOD):
        await store.spend(subject_id, Method.TOTP, clock.now())


async def redeemed(state: State, clock: StillClock, *, once: bool, attempt=None) -> Challenge:
    """Walk a challenge to the end."""
    authorization = an_authorization(requirement=a_requirement(once=once))
    challenge = a_challenge(now=clock.now(), authorization=authorization)
    await state.challenges.open(challenge, b"uri-digest")
    await answer(state.challenges, challenge, clock)
    await state.challenges.issue_code(challenge.id, b"code", clock.now())
    code = a_presented_code(challenge, b"code")
    redemption = await state.challenges.redeem_code(code, attempt or an_attempt(), clock.now())
    return redemption.challenge
