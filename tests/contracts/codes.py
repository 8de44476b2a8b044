"""What `ChallengeStore` promises about codes."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.authorization import CODE_LIFETIME, Authorization
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    ChallengeNotPendingError,
    DependencyUnavailableError,
    InvalidGrantError,
)
from stepup.domain.ids import ChallengeId, ClientId, TokenId
from stepup.ports import ChallengeStore, CodeTakenError, Redemption, State, UnknownTokenError
from tests.contracts.challenges import answer
from tests.support.builders import (
    a_challenge,
    a_presented_code,
    a_requirement,
    an_attempt,
    an_authorization,
)
from tests.support.determinism import StillClock

SECOND = timedelta(seconds=1)


class CodeContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    # Whether there are replicas to hold anything.
    replicated = False

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
        answered = await answer(store, challenge, clock)
        await store.issue_code(challenge.id, b"code", clock.now())
        return answered

    async def test_redeems_a_code_once_it_was_issued(self, store, clock, challenge):
        code = a_presented_code(challenge, b"code")

        redemption = await store.redeem_code(code, an_attempt(), clock.now())

        assert redemption.redeemed_at == clock.now()
        assert not redemption.repeated
        assert redemption.challenge.state is ChallengeState.USED
        assert redemption.challenge == await store.find(challenge.id)

    async def test_of_64_concurrent_redemptions_one_wins(self, stores, clock, challenge):
        code = a_presented_code(challenge, b"code")

        results = await asyncio.gather(
            *(stores[i % 2].redeem_code(code, an_attempt(), clock.now()) for i in range(64)),
            return_exceptions=True,
        )

        assert sum(isinstance(r, Redemption) for r in results) == 1
        replayed = [r for r in results if isinstance(r, CodeTakenError)]
        assert len(replayed) == 63
        assert {r.challenge_id for r in replayed} == {challenge.id}

    async def test_the_same_attempt_gets_it_again(self, stores, clock, challenge):
        code, attempt = a_presented_code(challenge, b"code"), an_attempt()
        first = await stores[0].redeem_code(code, attempt, clock.now())
        clock.advance(CODE_LIFETIME)

        again = await stores[1].redeem_code(code, attempt, clock.now())

        assert again.repeated
        assert (again.challenge, again.redeemed_at) == (first.challenge, first.redeemed_at)

    async def test_without_a_replica_nothing_is_held_everywhere(self, store, clock, challenge):
        code, attempt = a_presented_code(challenge, b"code"), an_attempt()
        if self.replicated:
            assert await store.redeem_code(code, attempt, clock.now(), everywhere=True)
            return
        with pytest.raises(DependencyUnavailableError):
            await store.redeem_code(code, attempt, clock.now(), everywhere=True)
        assert not (await store.redeem_code(code, attempt, clock.now())).repeated

    async def test_a_code_that_was_given_back_is_as_good_as_new(self, stores, clock, challenge):
        code, attempt = a_presented_code(challenge, b"code"), an_attempt()
        first = await stores[0].redeem_code(code, attempt, clock.now())
        await stores[0].release_code(challenge.id, attempt, clock.now() + CODE_LIFETIME)
        await until_unspent(stores[1], challenge)

        again = await stores[1].redeem_code(code, an_attempt(), clock.now() + SECOND)
        assert not again.repeated
        assert again.redeemed_at == clock.now() + SECOND
        assert again.challenge == first.challenge
        with pytest.raises(CodeTakenError):
            await stores[0].redeem_code(code, attempt, clock.now())

    async def test_nobody_gives_back_what_another_attempt_has(self, stores, clock, challenge):
        code, attempt = a_presented_code(challenge, b"code"), an_attempt()
        until = clock.now() + CODE_LIFETIME
        await stores[0].redeem_code(code, attempt, clock.now())
        await stores[1].release_code(challenge.id, an_attempt(), until)
        await stores[1].release_code(ChallengeId("r1.nobody"), attempt, until)
        await asyncio.sleep(0.05)
        with pytest.raises(CodeTakenError):
            await stores[1].redeem_code(code, an_attempt(), clock.now())
        assert (await stores[1].redeem_code(code, attempt, clock.now())).repeated

    async def test_what_was_replayed_meanwhile_is_not_given_back(self, stores, clock, challenge):
        """Its token is revoked by then, and whoever redeemed it would get a dead one."""
        code, attempt = a_presented_code(challenge, b"code"), an_attempt()
        await stores[0].redeem_code(code, attempt, clock.now())
        with pytest.raises(CodeTakenError):
            await stores[1].redeem_code(code, an_attempt(), clock.now())
        await stores[0].release_code(challenge.id, attempt, clock.now() + CODE_LIFETIME)
        await asyncio.sleep(0.05)
        with pytest.raises(CodeTakenError):
            await stores[1].redeem_code(code, an_attempt(), clock.now())

    async def test_what_is_given_back_gives_no_leave_to_use_a_token(self, states, clock):
        once = an_authorization(requirement=a_requirement(once=True))
        challenge, attempt = a_challenge(now=clock.now(), authorization=once), an_attempt()
        store = states[0].challenges
        await store.open(challenge, None)
        await answer(store, challenge, clock)
        await store.issue_code(challenge.id, b"code", clock.now())
        code, token_id = a_presented_code(challenge, b"code"), TokenId("r1.x.jti")
        await store.redeem_code(code, attempt, clock.now())
        await store.release_code(challenge.id, attempt, clock.now() + CODE_LIFETIME)
        await until_unspent(store, challenge)
        with pytest.raises(UnknownTokenError):
            await states[1].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

        await store.redeem_code(code, an_attempt(), clock.now())
        assert await states[1].tokens.consume(challenge.id, token_id, an_attempt(), clock.now())

    async def test_a_replay_is_told_long_after_the_code_expired(self, store, clock, challenge):
        code = a_presented_code(challenge, b"code")
        await store.redeem_code(code, an_attempt(), clock.now())
        clock.advance(timedelta(minutes=9))

        with pytest.raises(CodeTakenError):
            await store.redeem_code(code, an_attempt(), clock.now())

    @pytest.mark.parametrize(
        "changes",
        [
            {"digest": b"guessed"},
            {"client_id": ClientId("mallory")},
            {"redirect_uri": "https://mallory.example/callback"},
            {"redirect_uri": ""},
            {"code_challenge": "another-verifier"},
            {"code_challenge": None},
            {"code_challenge": ""},
        ],
        ids=lambda changes: "-".join(f"{k}-{v}" for k, v in changes.items()),
    )
    async def test_rfc6749_4_1_3_and_rfc7636_4_6_refuses_what_a_code_is_not_bound_to(
        self, store, clock, challenge, changes
    ):
        right = {"digest": b"code"} | changes
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(a_presented_code(challenge, **right), an_attempt(), clock.now())

        code = a_presented_code(challenge, b"code")
        assert not (await store.redeem_code(code, an_attempt(), clock.now())).repeated

    async def test_the_redirect_uri_may_be_left_out_where_a_verifier_fits(
        self, store, clock, challenge
    ):
        code = a_presented_code(challenge, b"code", redirect_uri=None)
        assert await store.redeem_code(code, an_attempt(), clock.now())

    async def test_the_redirect_uri_must_be_there_where_no_verifier_is_asked_for(
        self, store, clock
    ):
        bare = an_authorization(code_challenge=None)
        challenge = await an_issued(store, clock, bare)
        code = a_presented_code(challenge, b"code", redirect_uri=None)
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(code, an_attempt(), clock.now())
        code = a_presented_code(challenge, b"code")
        assert await store.redeem_code(code, an_attempt(), clock.now())

    @pytest.mark.parametrize("redirect_uri", [None, "https://bank.example/callback"])
    async def test_a_code_that_is_bound_to_a_key_needs_that_key(self, store, clock, redirect_uri):
        challenge = await an_issued(store, clock, an_authorization(dpop_jkt="key-1"))
        right = {"redirect_uri": redirect_uri, "jkt": "key-1"}
        for wrong in (
            {"jkt": None},
            {"jkt": ""},
            {"jkt": "key-2"},
            {"code_challenge": None},
            {"code_challenge": "another-verifier"},
        ):
            code = a_presented_code(challenge, b"code", **right | wrong)
            with pytest.raises(InvalidGrantError):
                await store.redeem_code(code, an_attempt(), clock.now())
        code = a_presented_code(challenge, b"code", **right)
        assert await store.redeem_code(code, an_attempt(), clock.now())

    async def test_a_code_that_is_bound_to_no_key_goes_with_any(self, store, clock, challenge):
        code = a_presented_code(challenge, b"code", jkt="key-1")
        assert await store.redeem_code(code, an_attempt(), clock.now())

    async def test_redeems_the_code_of_a_client_without_redirects(self, store, clock):
        bare = an_authorization(redirect_uri=None, code_challenge=None)
        challenge = a_challenge(now=clock.now(), authorization=bare)
        await store.open(challenge, None)
        await answer(store, challenge, clock)
        await store.issue_code(challenge.id, b"code", clock.now())

        empty = a_presented_code(challenge, b"code", redirect_uri="", code_challenge="")
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(empty, an_attempt(), clock.now())

        code = a_presented_code(challenge, b"code")
        assert await store.redeem_code(code, an_attempt(), clock.now())

    async def test_refuses_a_code_that_expired_by_one_second(self, store, clock, challenge):
        code = a_presented_code(challenge, b"code")
        clock.advance(CODE_LIFETIME)
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(code, an_attempt(), clock.now())
        assert await store.redeem_code(code, an_attempt(), clock.now() - SECOND)

    async def test_refuses_the_code_of_an_unknown_challenge(self, store, clock):
        nobody = a_challenge(id=ChallengeId("r1.nobody"))
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(a_presented_code(nobody, b"code"), an_attempt(), clock.now())

    async def test_refuses_a_code_that_was_never_issued(self, store, clock):
        challenge = a_challenge(now=clock.now())
        await store.open(challenge, None)
        await answer(store, challenge, clock)
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(a_presented_code(challenge, b""), an_attempt(), clock.now())

    async def test_issuing_again_extends_nothing(self, store, clock, challenge):
        clock.advance(CODE_LIFETIME - SECOND)
        await store.issue_code(challenge.id, b"code", clock.now())
        clock.advance(SECOND)
        with pytest.raises(InvalidGrantError):
            await store.redeem_code(a_presented_code(challenge, b"code"), an_attempt(), clock.now())

    async def test_a_challenge_has_one_code(self, store, clock, challenge):
        with pytest.raises(ChallengeNotPendingError):
            await store.issue_code(challenge.id, b"a second one", clock.now())

    async def test_issues_no_code_before_the_answer(self, store, clock):
        challenge = a_challenge(now=clock.now())
        await store.open(challenge, None)
        with pytest.raises(ChallengeNotPendingError):
            await store.issue_code(challenge.id, b"code", clock.now())
        await store.cancel(challenge.id)
        with pytest.raises(ChallengeNotPendingError):
            await store.issue_code(challenge.id, b"code", clock.now())

    async def test_issues_no_code_after_the_redemption(self, store, clock, challenge):
        await store.redeem_code(a_presented_code(challenge, b"code"), an_attempt(), clock.now())
        with pytest.raises(ChallengeNotPendingError):
            await store.issue_code(challenge.id, b"code", clock.now())


async def an_issued(
    store: ChallengeStore, clock: StillClock, authorization: Authorization
) -> Challenge:
    """Go as far as the code `code` for an authorization."""
    challenge = a_challenge(now=clock.now(), authorization=authorization)
    await store.open(challenge, None)
    await answer(store, challenge, clock)
    await store.issue_code(challenge.id, b"code", clock.now())
    return challenge


async def until_unspent(store: ChallengeStore, challenge: Challenge) -> None:
    """Wait for what goes on behind the call."""
    for _ in range(400):
        found = await store.find(challenge.id)
        if found is None or found.state is not ChallengeState.USED:
            return
        await asyncio.sleep(0.005)
    pytest.fail("it is still spent")
