"""What `SessionStore` promises."""

import asyncio
import secrets
from datetime import datetime, timedelta

import msgspec
import pytest

from stepup.domain.account import BaseIdentity, KeptRequest
from stepup.domain.browser_session import KEPT_PER_BROWSER, BrowserSession, Proof, SignIn
from stepup.ports import SessionStore, State
from tests.support.builders import a_checked_request, a_proof, a_subject
from tests.support.determinism import StillClock

MINUTE = timedelta(minutes=1)


class SessionStoreContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def store(self, states: tuple[State, State]) -> SessionStore:
        return states[0].sessions

    @pytest.fixture
    def digest(self) -> str:
        return secrets.token_urlsafe(16)

    @pytest.fixture
    def proof(self, clock: StillClock) -> Proof:
        return a_proof(now=clock.now())

    @pytest.fixture
    def sign_in(self, clock: StillClock) -> SignIn:
        identity = BaseIdentity(subject=a_subject(), name="Alice", auth_time=clock.now())
        return SignIn(identity=identity, expires_at=clock.now() + 15 * MINUTE)

    async def test_keeps_proofs_and_a_sign_in(self, states, digest, proof, sign_in):
        assert await states[0].sessions.find(digest) == BrowserSession()

        await states[0].sessions.add_proof(digest, proof)
        await states[0].sessions.put_sign_in(digest, sign_in)

        kept = BrowserSession(proofs=(proof,), sign_in=sign_in)
        assert await states[1].sessions.find(digest) == kept

    async def test_a_proof_that_comes_again_changes_nothing(self, store, digest, proof):
        await asyncio.gather(*(store.add_proof(digest, proof) for _ in range(8)))
        assert (await store.find(digest)).proofs == (proof,)

    async def test_the_last_sign_in_counts(self, store, digest, sign_in):
        other = msgspec.structs.replace(sign_in, identity=BaseIdentity(subject=a_subject("bob")))
        await store.put_sign_in(digest, sign_in)
        await store.put_sign_in(digest, other)
        assert (await store.find(digest)).sign_in == other

    async def test_each_thing_ends_by_the_second(self, store, clock, digest, proof, sign_in):
        await store.add_proof(digest, proof)
        await store.put_sign_in(digest, sign_in)

        clock.advance(sign_in.expires_at - clock.now())
        assert await store.find(digest) == BrowserSession(proofs=(proof,))
        clock.advance(proof.expires_at - clock.now() - timedelta(seconds=1))
        assert await store.find(digest) == BrowserSession(proofs=(proof,))
        clock.advance(timedelta(seconds=1))
        assert await store.find(digest) == BrowserSession()

    async def test_what_ends_first_makes_room(self, states, clock, digest):
        start = clock.now()
        proofs = [a_proof(now=start + n * MINUTE) for n in range(KEPT_PER_BROWSER + 3)]

        await asyncio.gather(
            *(states[n % 2].sessions.add_proof(digest, proof) for n, proof in enumerate(proofs))
        )

        kept = (await states[0].sessions.find(digest)).proofs
        assert _ids(kept) == _ids(proofs[3:])

    async def test_what_has_ended_makes_room_too(self, store, clock, digest, proof):
        await store.add_proof(digest, proof)
        clock.advance(proof.expires_at - clock.now())
        later = a_proof(now=clock.now())

        await store.add_proof(digest, later)

        assert (await store.find(digest)).proofs == (later,)

    async def test_a_posted_request_is_found_as_often_as_the_browser_comes(self, states, digest):
        kept = KeptRequest(parameters={"client_id": "bank", "state": "st-1"})
        assert await states[0].sessions.find_request(digest) is None
        await states[0].sessions.keep_request(digest, kept)
        for _ in range(2):
            assert await states[1].sessions.find_request(digest) == kept

    async def test_a_pushed_request_is_found_with_everything_that_was_checked(self, states, digest):
        kept = KeptRequest(parameters={}, checked=a_checked_request())
        await states[0].sessions.keep_request(digest, kept)
        assert await states[1].sessions.find_request(digest) == kept

    async def test_browsers_are_apart(self, store, digest, proof):
        await store.add_proof(digest, proof)
        assert await store.find(f"{digest}x") == BrowserSession()

    async def test_forgets_a_browser_and_again_is_harmless(self, store, digest, proof, sign_in):
        await store.add_proof(digest, proof)
        await store.put_sign_in(digest, sign_in)
        await store.remove(digest)
        await store.remove(digest)
        assert await store.find(digest) == BrowserSession()


def _ids(proofs: "list[Proof] | tuple[Proof, ...]") -> set[tuple[str, datetime]]:
    return {(proof.challenge_id, proof.auth_time) for proof in proofs}
