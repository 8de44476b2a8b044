"""What a browser has proved is kept, answers later challenges, and ends with what it rests on."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.account import BaseIdentity
from stepup.domain.browser_session import LONGEST_PROOF, BrowserSession
from stepup.domain.challenge import Challenge
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AuthenticatorId, ClientId
from stepup.domain.requirement import Requirement
from stepup.usecases import provision, sessions
from stepup.usecases.revocation_feed import LiveRevocations
from stepup.usecases.revoke import revoke_subject
from stepup.usecases.sessions import SessionSecret
from tests.support.builders import A_TOUCH, a_challenge, an_authorization
from tests.support.world import World

SOME_KEY = AuthenticatorId("some-key")
PLANTED = SessionSecret("planted")
MINUTE = timedelta(minutes=1)


def a_request(world: World, sub: str = "alice", **requirement: object) -> Challenge:
    """A challenge that is not answered yet."""
    authorization = an_authorization(
        subject=world.subject(sub), requirement=Requirement(acr="phr", **requirement)
    )
    return a_challenge(now=world.clock.now(), authorization=authorization)


def an_answered(
    world: World, sub: str = "alice", by: AuthenticatorId | None = SOME_KEY
) -> Challenge:
    asked = a_request(world, sub)
    touched = msgspec.structs.replace(A_TOUCH, authenticator_id=by)
    return msgspec.structs.replace(asked, passed=(touched,), verified_at=world.clock.now())


async def a_session(world: World, sub: str = "alice") -> SessionSecret:
    secret = await sessions.keep(world.ports, None, an_answered(world, sub))
    assert secret is not None
    return secret


async def is_asked(world: World, secret: SessionSecret | None, sub: str = "alice") -> bool:
    return await sessions.proof_for(world.ports, secret, a_request(world, sub)) is None


async def test_a_second_request_within_the_window_asks_nothing(world: World):
    secret = await a_session(world)
    world.clock.advance(10 * MINUTE)
    assert not await is_asked(world, secret)
    world.clock.advance(timedelta(seconds=1))
    assert await is_asked(world, secret)


async def test_a_browser_without_a_session_is_asked(world: World):
    await a_session(world)
    assert await is_asked(world, None)
    assert await is_asked(world, SessionSecret("another"))


async def test_attack_a_session_of_another_subject_in_the_same_browser_is_not_used(world: World):
    secret = await a_session(world, "alice")
    assert await is_asked(world, secret, "bob")


async def test_attack_session_fixation_a_planted_cookie_gets_nothing(world: World):
    secret = await sessions.keep(world.ports, PLANTED, an_answered(world))

    assert secret not in {PLANTED, None}
    assert not await is_asked(world, secret)
    assert await is_asked(world, PLANTED)


async def test_attack_session_fixation_a_thief_s_own_session_gets_nothing(world: World):
    thief = await a_session(world, "mallory")

    secret = await sessions.keep(world.ports, thief, an_answered(world, "alice"))

    assert secret != thief
    assert await is_asked(world, thief, "alice")


async def test_a_subject_that_the_session_knows_keeps_its_secret(world: World):
    secret = await a_session(world)
    assert await sessions.keep(world.ports, secret, an_answered(world)) == secret

    signed_in = await sessions.sign_in(world.ports, BaseIdentity(subject=world.subject("bob")))
    assert await sessions.keep(world.ports, signed_in, an_answered(world, "bob")) == signed_in


async def test_a_sign_in_is_remembered_under_a_new_secret_each_time(world: World):
    identity = BaseIdentity(subject=world.subject())
    first = await sessions.sign_in(world.ports, identity)
    second = await sessions.sign_in(world.ports, identity)
    assert first != second
    known = (await sessions.find(world.ports, second)).sign_in
    assert known is not None
    assert known.identity == identity


async def test_attack_a_revoked_subject_is_not_signed_in_any_more(world: World):
    identity = BaseIdentity(subject=world.subject())
    secret = await sessions.sign_in(world.ports, identity)
    assert await sessions.signed_in(world.ports, secret) == identity

    await revoke_subject(world.ports, world.subject().id)
    assert await sessions.signed_in(world.ports, secret) is None

    world.clock.advance(timedelta(seconds=2))
    again = await sessions.sign_in(world.ports, identity)
    assert await sessions.signed_in(world.ports, again) == identity


async def test_attack_a_revoked_subject_s_session_is_worthless(world: World):
    secret = await a_session(world)
    world.clock.advance(MINUTE)

    await revoke_subject(world.ports, world.subject().id)

    assert await is_asked(world, secret)
    # What is proved afterwards counts again.
    world.clock.advance(timedelta(seconds=2))
    again = await sessions.keep(world.ports, secret, an_answered(world))
    assert not await is_asked(world, again)


async def test_attack_a_session_does_not_outlive_the_revocation_that_ended_it(world: World):
    policy = world.snapshot.policy
    levels = [msgspec.structs.replace(each, max_age=LONGEST_PROOF) for each in policy.ladder.levels]
    world.snapshot.held_policy = msgspec.structs.replace(
        policy, ladder=msgspec.structs.replace(policy.ladder, levels=tuple(levels))
    )
    secret = await a_session(world)
    await revoke_subject(world.ports, world.subject().id)

    for _ in range(59):
        world.clock.advance(MINUTE)
        world.ports.revocations.forget(world.clock.now())
        assert await is_asked(world, secret)


async def test_attack_a_removed_authenticator_s_session_is_worthless(world: World):
    removed, _ = await world.enroll_passkey()
    kept, _ = await world.enroll_passkey()
    by_removed, by_kept, by_somebody = [
        await sessions.keep(world.ports, None, an_answered(world, by=by))
        for by in (removed.id, kept.id, None)
    ]

    await provision.remove(world.ports, world.subject(), removed.id)

    assert await is_asked(world, by_removed)
    # It may have been the removed one.
    assert await is_asked(world, by_somebody)
    assert not await is_asked(world, by_kept)


async def test_whoever_cannot_know_what_was_revoked_asks(world: World):
    secret = await a_session(world)
    deaf = world.ports._replace(revocations=LiveRevocations(lambda: 0.0))
    assert await sessions.proof_for(deaf, secret, a_request(world)) is None


async def test_with_redis_away_everybody_is_asked_and_nobody_is_kept_out(world: World):
    class Away:
        async def find(self, digest: str) -> BrowserSession:
            raise DependencyUnavailableError

    secret = await a_session(world)
    away = world.ports._replace(state=world.ports.state._replace(sessions=Away()))
    assert await sessions.proof_for(away, secret, a_request(world)) is None
    assert await sessions.keep(away, secret, an_answered(world)) == secret


async def test_a_session_that_was_ended_proves_nothing(world: World):
    secret = await a_session(world)
    await sessions.end(world.ports, secret)
    await sessions.end(world.ports, None)
    assert await is_asked(world, secret)


@pytest.mark.parametrize("needs", [{"once": True}, {"max_age": timedelta(0)}])
async def test_what_needs_its_own_ceremony_is_asked(world: World, needs: dict):
    secret = await a_session(world)
    asked = a_request(world, **needs)
    assert await sessions.proof_for(world.ports, secret, asked) is None


def test_sids_are_pairwise_and_stable(world: World):
    keyring = world.snapshot.keyring
    name = sessions.sid(keyring, b"one", ClientId("bank"))
    assert name == sessions.sid(keyring, b"one", ClientId("bank"))
    others = {
        sessions.sid(keyring, b"one", ClientId("shop")),
        sessions.sid(keyring, b"two", ClientId("bank")),
    }
    assert len(others | {name}) == 3


def test_secrets_stay_out_of_tracebacks():
    assert "planted" not in repr(PLANTED)
