"""What `AccountStore` promises."""

import asyncio
import secrets
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.account import (
    SESSION_LIFETIME,
    AccountSession,
    BaseIdentity,
    PendingElevation,
    PendingEnrollment,
    PendingLogin,
)
from stepup.domain.assurance import Acr, AuthnContext
from stepup.domain.ids import ChallengeId
from stepup.ports import AccountStore, State
from tests.support.builders import A_TOTP_SECRET, a_subject
from tests.support.determinism import StillClock

A_LOGIN = PendingLogin(
    issuer="https://idp.example", nonce="nonce", code_verifier="verifier", return_to="/account"
)
AN_ELEVATION = PendingElevation(
    challenge_id=ChallengeId("r1.x"),
    session_digest="session",
    code_verifier="verifier",
    return_to="/account",
)


class AccountStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def store(self, states: tuple[State, State]) -> AccountStore:
        return states[0].accounts

    @pytest.fixture
    def digest(self) -> str:
        return secrets.token_urlsafe(16)

    @pytest.fixture
    def session(self, clock: StillClock) -> AccountSession:
        return AccountSession(
            identity=BaseIdentity(subject=a_subject(), name="Alice", auth_time=clock.now()),
            form_token="form-token",
            created_at=clock.now(),
            expires_at=clock.now() + SESSION_LIFETIME,
        )

    async def test_keeps_a_session(self, store, digest, session):
        assert await store.find_session(digest) is None
        await store.put_session(digest, session)
        assert await store.find_session(digest) == session

    async def test_replaces_a_session(self, store, clock, digest, session):
        elevation = AuthnContext(acr=Acr("phr"), auth_time=clock.now())
        raised = msgspec.structs.replace(session, elevation=elevation)
        await store.put_session(digest, session)
        assert await store.replace_session(digest, raised)
        assert await store.find_session(digest) == raised

    async def test_replaces_no_session_that_has_ended(self, store, digest, session):
        assert not await store.replace_session(digest, session)
        await store.put_session(digest, session)
        await store.remove_session(digest)
        assert not await store.replace_session(digest, session)
        assert await store.find_session(digest) is None

    async def test_a_session_ends_by_the_second(self, store, clock, digest, session):
        await store.put_session(digest, session)
        clock.advance(SESSION_LIFETIME - timedelta(seconds=1))
        assert await store.find_session(digest) == session
        clock.advance(timedelta(seconds=1))
        assert await store.find_session(digest) is None

    async def test_signs_out_and_again_is_harmless(self, store, digest, session):
        await store.put_session(digest, session)
        await store.remove_session(digest)
        await store.remove_session(digest)
        assert await store.find_session(digest) is None

    async def test_gives_a_login_to_one_of_many(self, states, digest):
        await states[0].accounts.add_login(digest, A_LOGIN)
        taken = await asyncio.gather(
            *(states[i % 2].accounts.consume_login(digest) for i in range(32))
        )
        assert [one for one in taken if one] == [A_LOGIN]

    async def test_gives_an_elevation_to_one_of_many(self, states, digest):
        await states[0].accounts.add_elevation(digest, AN_ELEVATION)
        taken = await asyncio.gather(
            *(states[i % 2].accounts.consume_elevation(digest) for i in range(32))
        )
        assert [one for one in taken if one] == [AN_ELEVATION]

    @pytest.mark.parametrize(
        "enrollment",
        [
            PendingEnrollment(subject=a_subject("alice"), totp=A_TOTP_SECRET),
            PendingEnrollment(subject=a_subject("alice"), webauthn_challenge=b"\0\xff bytes"),
        ],
        ids=["totp", "webauthn"],
    )
    async def test_gives_an_enrollment_to_one_of_many(self, states, digest, enrollment):
        await states[0].accounts.add_enrollment(digest, enrollment)
        for _ in range(3):
            assert await states[1].accounts.find_enrollment(digest) == enrollment

        taken = await asyncio.gather(
            *(states[i % 2].accounts.consume_enrollment(digest) for i in range(32))
        )

        assert [one for one in taken if one] == [enrollment]
        assert await states[1].accounts.find_enrollment(digest) is None

    async def test_one_digest_names_four_things(self, store, digest, session):
        await store.put_session(digest, session)
        await store.add_login(digest, A_LOGIN)
        await store.add_elevation(digest, AN_ELEVATION)
        assert await store.consume_enrollment(digest) is None
        assert await store.consume_login(digest) == A_LOGIN
        assert await store.consume_elevation(digest) == AN_ELEVATION
        assert await store.find_session(digest) == session
