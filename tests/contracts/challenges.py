"""What `ChallengeStore` promises about challenges, up to the answer."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.assurance import Method
from stepup.domain.challenge import (
    CEREMONY_LIFETIME,
    CHALLENGE_LIFETIME,
    TRIES_PER_METHOD,
    Challenge,
    ChallengeState,
)
from stepup.domain.errors import (
    CeremonyExpiredError,
    ChallengeNotFoundError,
    ChallengeNotPendingError,
    StepUpError,
    VerificationFailedError,
    WrongBrowserError,
)
from stepup.domain.ids import CeremonyId, ChallengeId
from stepup.ports import ChallengeStore, Permit, State
from tests.support.builders import (
    A_TOTP,
    A_TOUCH,
    a_challenge,
    a_proof,
    an_attempt,
    an_authorization,
)
from tests.support.determinism import StillClock

SECOND = timedelta(seconds=1)
UNKNOWN = ChallengeId("r1.nobody")


class ChallengeStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def stores(self, states: tuple[State, State]) -> tuple[ChallengeStore, ChallengeStore]:
        return states[0].challenges, states[1].challenges

    @pytest.fixture
    def store(self, states: tuple[State, State]) -> ChallengeStore:
        return states[0].challenges

    @pytest.fixture
    async def challenge(self, store: ChallengeStore, clock: StillClock) -> Challenge:
        challenge = a_challenge(now=clock.now())
        await store.open(challenge, b"uri-digest")
        return challenge

    # --- open and find ---

    async def test_returns_the_challenge_as_it_was_opened(self, store, challenge):
        assert await store.find(challenge.id) == challenge

    async def test_keeps_a_challenge_for_a_client_with_its_own_screens(self, store, clock):
        authorization = an_authorization(
            redirect_uri=None, state=None, code_challenge=None, purpose=None
        )
        challenge = a_challenge(now=clock.now(), authorization=authorization)

        await store.open(challenge, None)

        assert await store.find(challenge.id) == challenge

    async def test_finds_nothing_where_nothing_is(self, store):
        assert await store.find(UNKNOWN) is None

    async def test_refuses_an_identifier_that_is_taken(self, store, challenge):
        with pytest.raises(ChallengeNotPendingError):
            await store.open(a_challenge(id=challenge.id), b"another")
        assert await store.find(challenge.id) == challenge

    async def test_tells_an_expired_challenge_from_an_unknown_one(self, store, clock, challenge):
        clock.advance(CHALLENGE_LIFETIME + timedelta(minutes=9))
        assert await store.find(challenge.id) == challenge

    # --- claim ---

    async def test_ties_the_challenge_to_the_first_browser(self, stores, challenge):
        results = await gather(
            *(stores[i % 2].claim(challenge.id, b"uri-digest", b"b%d" % i) for i in range(20))
        )

        [winner] = [r for r in results if isinstance(r, Challenge)]
        assert sum(isinstance(r, WrongBrowserError) for r in results) == 19
        assert winner == await stores[0].find(challenge.id)

    async def test_lets_the_same_browser_come_again(self, store, challenge):
        for _ in range(3):
            claimed = await store.claim(challenge.id, b"uri-digest", b"browser")
            assert claimed.browser_digest == b"browser"

    async def test_refuses_a_request_uri_with_another_secret(self, store, challenge):
        with pytest.raises(ChallengeNotFoundError):
            await store.claim(challenge.id, b"another", b"browser")
        assert await store.find(challenge.id) == challenge

    async def test_refuses_a_request_uri_where_none_was_made(self, store, clock):
        challenge = a_challenge(now=clock.now())
        await store.open(challenge, None)

        for digest in (b"", b"None"):
            with pytest.raises(ChallengeNotFoundError):
                await store.claim(challenge.id, digest, b"browser")

    async def test_refuses_a_request_uri_of_nothing(self, store):
        with pytest.raises(ChallengeNotFoundError):
            await store.claim(UNKNOWN, b"uri-digest", b"browser")

    async def test_refuses_an_expired_request_uri(self, store, clock, challenge):
        clock.advance(CHALLENGE_LIFETIME)
        with pytest.raises(ChallengeNotFoundError):
            await store.claim(challenge.id, b"uri-digest", b"browser")

    async def test_shows_the_claiming_browser_how_it_ended(self, store, clock, challenge):
        await store.claim(challenge.id, b"uri-digest", b"browser")
        await answer(store, challenge, clock)
        clock.advance(CHALLENGE_LIFETIME)

        claimed = await store.claim(challenge.id, b"uri-digest", b"browser")

        assert claimed.state is ChallengeState.VERIFIED

    # --- ceremonies ---

    async def test_a_fourth_tab_gets_the_newest_ceremony(self, store, challenge):
        begun = [
            await store.begin_ceremony(challenge.id, CeremonyId(f"c{i}"), b"bytes-%d" % i)
            for i in range(5)
        ]

        assert begun == [
            ("c0", b"bytes-0"),
            ("c1", b"bytes-1"),
            ("c2", b"bytes-2"),
            ("c2", b"bytes-2"),
            ("c2", b"bytes-2"),
        ]

    async def test_a_spent_ceremony_makes_room(self, store, clock, challenge):
        for i in range(3):
            await store.begin_ceremony(challenge.id, CeremonyId(f"c{i}"), b"bytes-%d" % i)
        await begin_touch(store, challenge, clock, "c1")

        begun = await store.begin_ceremony(challenge.id, CeremonyId("c9"), b"bytes-9")

        assert begun == ("c9", b"bytes-9")

    async def test_an_expired_ceremony_makes_room(self, store, clock, challenge):
        for i in range(3):
            await store.begin_ceremony(challenge.id, CeremonyId(f"c{i}"), b"bytes-%d" % i)
        clock.advance(CEREMONY_LIFETIME)

        begun = await store.begin_ceremony(challenge.id, CeremonyId("c9"), b"bytes-9")

        assert begun == ("c9", b"bytes-9")

    async def test_begins_no_ceremony_for_a_challenge_that_is_over(self, store, challenge):
        await store.cancel(challenge.id)
        with pytest.raises(ChallengeNotPendingError):
            await store.begin_ceremony(challenge.id, CeremonyId("c1"), b"bytes")

    async def test_begins_no_ceremony_for_nothing(self, store):
        with pytest.raises(ChallengeNotFoundError):
            await store.begin_ceremony(UNKNOWN, CeremonyId("c1"), b"bytes")

    # --- begin an answer ---

    async def test_counts_the_try_before_anything_is_compared(self, store, clock, challenge):
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())

        assert permit.challenge.tries_left(Method.TOTP) == TRIES_PER_METHOD - 1
        assert permit.challenge.authenticators == challenge.authenticators
        assert permit.challenge == await store.find(challenge.id)

    async def test_gives_the_same_attempt_the_same_permit_and_counts_once(
        self, stores, clock, challenge
    ):
        await stores[0].begin_ceremony(challenge.id, CeremonyId("c1"), b"bytes-1")
        attempt = an_attempt()

        permits = await asyncio.gather(
            *(
                stores[i % 2].begin_answer(
                    challenge.id, Method.WEBAUTHN, attempt, clock.now(), CeremonyId("c1")
                )
                for i in range(20)
            )
        )

        assert all(permit == permits[0] for permit in permits)
        assert permits[0].webauthn_challenge == b"bytes-1"
        assert permits[0].challenge.tries == {Method.WEBAUTHN: 1}

    async def test_concurrent_guesses_get_five_permits(self, stores, clock, challenge):
        results = await gather(
            *(
                stores[i % 2].begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
                for i in range(40)
            )
        )

        refused = [r for r in results if isinstance(r, VerificationFailedError)]
        assert sum(isinstance(r, Permit) for r in results) == TRIES_PER_METHOD
        assert len(refused) == 40 - TRIES_PER_METHOD
        assert {r.tries_left for r in refused} == {0}

    async def test_leaves_the_other_method_its_tries(self, store, clock, challenge):
        for _ in range(TRIES_PER_METHOD):
            await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())

        permit = await store.begin_answer(
            challenge.id, Method.RECOVERY_CODE, an_attempt(), clock.now()
        )

        assert permit.challenge.open_methods() == (Method.WEBAUTHN,)

    async def test_gives_one_webauthn_challenge_to_one_of_many_answers(
        self, stores, clock, challenge
    ):
        await stores[0].begin_ceremony(challenge.id, CeremonyId("c1"), b"bytes-1")

        results = await gather(
            *(begin_touch(stores[i % 2], challenge, clock, "c1") for i in range(20))
        )

        [permit] = [r for r in results if isinstance(r, Permit)]
        assert permit.webauthn_challenge == b"bytes-1"
        assert permit.challenge.tries == {Method.WEBAUTHN: 1}

    async def test_three_tabs_do_not_disturb_each_other(self, store, clock, challenge):
        for i in range(3):
            await store.begin_ceremony(challenge.id, CeremonyId(f"c{i}"), b"bytes-%d" % i)

        for i in (1, 0, 2):
            permit = await begin_touch(store, challenge, clock, f"c{i}")
            assert permit.webauthn_challenge == b"bytes-%d" % i

    async def test_refuses_a_ceremony_that_expired_by_one_second(self, store, clock, challenge):
        await store.begin_ceremony(challenge.id, CeremonyId("c1"), b"bytes-1")
        clock.advance(CEREMONY_LIFETIME - SECOND)
        await store.begin_ceremony(challenge.id, CeremonyId("c2"), b"bytes-2")
        clock.advance(SECOND)

        with pytest.raises(CeremonyExpiredError):
            await begin_touch(store, challenge, clock, "c1")
        assert (await begin_touch(store, challenge, clock, "c2")).webauthn_challenge == b"bytes-2"

    async def test_refuses_a_ceremony_of_another_challenge(self, store, clock, challenge):
        other = a_challenge(now=clock.now())
        await store.open(other, None)
        await store.begin_ceremony(other.id, CeremonyId("c1"), b"bytes-1")

        with pytest.raises(CeremonyExpiredError):
            await begin_touch(store, challenge, clock, "c1")
        assert (await store.find(challenge.id)).tries == {}

    async def test_answers_nothing_that_does_not_exist(self, store, clock):
        with pytest.raises(ChallengeNotFoundError):
            await store.begin_answer(UNKNOWN, Method.TOTP, an_attempt(), clock.now())

    async def test_answers_nothing_that_expired_by_one_second(self, store, clock, challenge):
        last = challenge.expires_at - SECOND
        await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), last)
        with pytest.raises(ChallengeNotFoundError):
            await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), last + SECOND)

    @pytest.mark.parametrize("end", ["answered", "cancelled"])
    async def test_begins_no_answer_to_a_challenge_that_is_over(self, store, clock, challenge, end):
        if end == "answered":
            await answer(store, challenge, clock)
        else:
            await store.cancel(challenge.id)

        with pytest.raises(ChallengeNotPendingError):
            await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())

    async def test_the_attempt_that_answered_still_gets_its_permit(self, store, clock, challenge):
        attempt = an_attempt()
        permit = await store.begin_answer(challenge.id, Method.TOTP, attempt, clock.now())
        answered = await store.finish_answer(permit, A_TOTP, verified=True, now=clock.now())

        again = await store.begin_answer(challenge.id, Method.TOTP, attempt, clock.now())

        assert again == Permit(challenge=answered, method=Method.TOTP, attempt=attempt)

    async def test_a_wrong_answer_stays_wrong_when_another_was_right(self, store, clock, challenge):
        wrong = an_attempt()
        await store.begin_answer(challenge.id, Method.TOTP, wrong, clock.now())
        await answer(store, challenge, clock)

        with pytest.raises(ChallengeNotPendingError):
            await store.begin_answer(challenge.id, Method.TOTP, wrong, clock.now())

    # --- finish an answer ---

    async def test_records_what_was_proved_and_when(self, store, clock, challenge):
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
        clock.advance(SECOND)

        answered = await store.finish_answer(permit, A_TOTP, verified=True, now=clock.now())

        assert answered.state is ChallengeState.VERIFIED
        assert answered.passed == (A_TOTP,)
        assert answered.verified_at == clock.now()
        assert answered == await store.find(challenge.id)

    async def test_stays_pending_until_the_combination_is_complete(self, store, clock, challenge):
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
        half = await store.finish_answer(permit, A_TOTP, verified=False, now=clock.now())
        again = await store.finish_answer(permit, A_TOTP, verified=False, now=clock.now())
        permit = await store.begin_answer(challenge.id, Method.WEBAUTHN, an_attempt(), clock.now())
        whole = await store.finish_answer(permit, A_TOUCH, verified=True, now=clock.now())

        assert half == again
        assert (half.state, half.passed) == (ChallengeState.PENDING, (A_TOTP,))
        assert (whole.state, whole.passed) == (ChallengeState.VERIFIED, (A_TOTP, A_TOUCH))

    async def test_an_attempt_may_come_again_to_say_that_it_is_enough_after_all(
        self, stores, challenge, clock
    ):
        now = clock.now()
        first = await stores[0].begin_answer(challenge.id, Method.TOTP, an_attempt(), now)
        second = await stores[1].begin_answer(challenge.id, Method.TOTP, an_attempt(), now)
        await stores[0].finish_answer(first, A_TOTP, verified=False, now=now)
        half = await stores[1].finish_answer(second, A_TOUCH, verified=False, now=now)
        assert (half.state, half.passed) == (ChallengeState.PENDING, (A_TOTP, A_TOUCH))

        whole = await stores[1].finish_answer(second, A_TOUCH, verified=True, now=now)
        assert (whole.state, whole.passed) == (ChallengeState.VERIFIED, (A_TOTP, A_TOUCH))
        assert whole.verified_at == now

    async def test_an_attempt_that_comes_again_answers_no_cancelled_challenge(
        self, store, challenge, clock
    ):
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
        await store.finish_answer(permit, A_TOTP, verified=False, now=clock.now())
        await store.cancel(challenge.id)
        again = await store.finish_answer(permit, A_TOTP, verified=True, now=clock.now())
        assert (again.state, again.verified_at) == (ChallengeState.DENIED, None)

    async def test_twenty_concurrent_correct_answers_one_wins(self, stores, clock, challenge):
        permits = [
            await stores[0].begin_answer(challenge.id, method, an_attempt(), clock.now())
            for method in (Method.TOTP, Method.WEBAUTHN, Method.RECOVERY_CODE, Method.EMAIL)
            for _ in range(5)
        ]

        results = await gather(
            *(
                stores[i % 2].finish_answer(permit, A_TOTP, verified=True, now=clock.now())
                for i, permit in enumerate(permits)
            )
        )

        [answered] = [r for r in results if isinstance(r, Challenge)]
        assert sum(isinstance(r, ChallengeNotPendingError) for r in results) == 19
        assert answered.passed == (A_TOTP,)

    async def test_the_same_attempt_repeated_gets_the_same_answer(self, stores, clock, challenge):
        permit = await stores[0].begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())

        answers = await asyncio.gather(
            *(
                stores[i % 2].finish_answer(permit, A_TOTP, verified=True, now=clock.now())
                for i in range(20)
            )
        )

        assert all(one == answers[0] for one in answers)
        assert answers[0].passed == (A_TOTP,)

    async def test_refuses_a_permit_that_was_never_given(self, store, clock, challenge):
        forged = Permit(challenge=challenge, method=Method.TOTP, attempt=an_attempt())
        with pytest.raises(ChallengeNotPendingError):
            await store.finish_answer(forged, A_TOTP, verified=True, now=clock.now())

    async def test_a_cancelled_challenge_cannot_be_answered(self, store, clock, challenge):
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
        await store.cancel(challenge.id)
        with pytest.raises(ChallengeNotPendingError):
            await store.finish_answer(permit, A_TOTP, verified=True, now=clock.now())

    # --- answer by a session ---

    async def test_a_proof_answers_and_nothing_gets_younger(self, stores, clock, challenge):
        await stores[0].claim(challenge.id, b"uri-digest", b"browser")
        proof = a_proof(now=clock.now() - timedelta(minutes=7), passed=(A_TOUCH, A_TOTP))

        answers = await gather(
            *(
                stores[n % 2].answer_by_session(challenge.id, b"browser", proof, clock.now())
                for n in range(8)
            )
        )

        for answered in (*answers, await stores[1].find(challenge.id)):
            assert answered.state is ChallengeState.VERIFIED
            assert answered.verified_at == proof.auth_time
            assert answered.by_session
            assert answered.passed == proof.passed

    async def test_a_proof_takes_the_place_of_half_an_answer(self, store, clock, challenge):
        await store.claim(challenge.id, b"uri-digest", b"browser")
        permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
        await store.finish_answer(permit, A_TOTP, verified=False, now=clock.now())
        proof = a_proof(now=clock.now())

        answered = await store.answer_by_session(challenge.id, b"browser", proof, clock.now())

        assert answered.passed == proof.passed

    async def test_of_a_proof_and_an_answer_one_wins(self, stores, clock):
        for _ in range(10):
            challenge = a_challenge(now=clock.now())
            await stores[0].open(challenge, b"uri-digest")
            await stores[0].claim(challenge.id, b"uri-digest", b"browser")
            permit = await stores[0].begin_answer(
                challenge.id, Method.TOTP, an_attempt(), clock.now()
            )
            proof = a_proof(now=clock.now() - SECOND)
            results = await gather(
                stores[0].finish_answer(permit, A_TOTP, verified=True, now=clock.now()),
                stores[1].answer_by_session(challenge.id, b"browser", proof, clock.now()),
            )
            [winner] = [r for r in results if isinstance(r, Challenge)]
            [loser] = [r for r in results if isinstance(r, StepUpError)]
            assert isinstance(loser, ChallengeNotPendingError)
            assert winner == await stores[0].find(challenge.id)

    async def test_a_proof_answers_only_in_the_browser_that_has_the_challenge(
        self, store, clock, challenge
    ):
        proof = a_proof(now=clock.now())
        for browser in (b"", b"browser"):
            with pytest.raises(WrongBrowserError):
                await store.answer_by_session(challenge.id, browser, proof, clock.now())
        await store.claim(challenge.id, b"uri-digest", b"browser")
        with pytest.raises(WrongBrowserError):
            await store.answer_by_session(challenge.id, b"another", proof, clock.now())

    async def test_a_proof_answers_nothing_that_has_ended(self, store, clock, challenge):
        await store.claim(challenge.id, b"uri-digest", b"browser")
        proof = a_proof(now=clock.now())
        await store.cancel(challenge.id)
        with pytest.raises(ChallengeNotPendingError):
            await store.answer_by_session(challenge.id, b"browser", proof, clock.now())
        with pytest.raises(ChallengeNotFoundError):
            await store.answer_by_session(UNKNOWN, b"browser", proof, clock.now())

    async def test_a_proof_answers_nothing_that_has_expired(self, store, clock, challenge):
        await store.claim(challenge.id, b"uri-digest", b"browser")
        clock.advance(CHALLENGE_LIFETIME)
        with pytest.raises(ChallengeNotFoundError):
            await store.answer_by_session(
                challenge.id, b"browser", a_proof(now=clock.now()), clock.now()
            )

    # --- cancel ---

    async def test_cancelling_twice_is_harmless(self, store, challenge):
        first, second = await store.cancel(challenge.id), await store.cancel(challenge.id)
        assert first == second == await store.find(challenge.id)
        assert first.state is ChallengeState.DENIED

    async def test_cancels_nothing_that_was_answered(self, store, clock, challenge):
        await answer(store, challenge, clock)
        with pytest.raises(ChallengeNotPendingError):
            await store.cancel(challenge.id)

    async def test_cancels_nothing_that_does_not_exist(self, store):
        with pytest.raises(ChallengeNotFoundError):
            await store.cancel(UNKNOWN)

    async def test_of_cancel_and_answer_one_wins(self, stores, clock):
        for _ in range(10):
            challenge = a_challenge(now=clock.now())
            await stores[0].open(challenge, None)
            permit = await stores[0].begin_answer(
                challenge.id, Method.TOTP, an_attempt(), clock.now()
            )
            results = await gather(
                stores[0].finish_answer(permit, A_TOTP, verified=True, now=clock.now()),
                stores[1].cancel(challenge.id),
            )
            [ended] = [r for r in results if isinstance(r, Challenge)]
            assert ended == await stores[0].find(challenge.id)


async def answer(store: ChallengeStore, challenge: Challenge, clock: StillClock) -> Challenge:
    """Answer a challenge with a code."""
    permit = await store.begin_answer(challenge.id, Method.TOTP, an_attempt(), clock.now())
    return await store.finish_answer(permit, A_TOTP, verified=True, now=clock.now())


async def begin_touch(
    store: ChallengeStore, challenge: Challenge, clock: StillClock, ceremony: str
) -> Permit:
    """Begin an answer with a passkey."""
    return await store.begin_answer(
        challenge.id, Method.WEBAUTHN, an_attempt(), clock.now(), CeremonyId(ceremony)
    )


async def gather(*calls):
    """Run calls at once; a refusal is an outcome, anything else fails the test."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, StepUpError):
            raise result
    return results
