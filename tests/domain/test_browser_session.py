"""What a browser has proved, and what it is good for later."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.account import BaseIdentity
from stepup.domain.assurance import DEFAULT_LADDER, Acr, CeremonyFacts, Ladder, Method
from stepup.domain.authorization import Authorization
from stepup.domain.browser_session import (
    LONGEST_PROOF,
    BrowserSession,
    Proof,
    SignIn,
    proof_of,
    satisfying,
)
from stepup.domain.ids import AuthenticatorId
from stepup.domain.requirement import Requirement
from tests.support.builders import (
    A_TOTP,
    A_TOUCH,
    a_challenge,
    a_proof,
    a_subject,
    an_authenticator,
    an_authorization,
)
from tests.support.determinism import NOON

ALICE = a_subject("alice")
PHR = Acr("phr")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
A_TOUCH_ALONE = CeremonyFacts(method=Method.WEBAUTHN)


def asking(acr: str = "phr", *, request: dict | None = None, **requirement: object):
    return an_authorization(
        subject=ALICE, requirement=Requirement(acr=Acr(acr), **requirement), **request or {}
    )


def proved(ago: timedelta = MINUTE, **changes: object) -> Proof:
    return a_proof(now=NOON - ago, **{"subject": ALICE} | changes)


def is_satisfied(authorization: Authorization, *proofs: Proof) -> bool:
    return satisfying(DEFAULT_LADDER, authorization, proofs, NOON) is not None


def test_a_proof_that_reaches_the_level_in_time_satisfies():
    assert is_satisfied(asking("phr"), proved())
    assert is_satisfied(asking("urn:stepup:acr:2"), proved())
    assert is_satisfied(asking("urn:stepup:acr:2"), proved(passed=(A_TOTP,)))


@pytest.mark.parametrize(
    ("acr", "proof"),
    [
        ("phr", proved(passed=(A_TOTP,))),
        ("phr", proved(passed=(A_TOUCH_ALONE,))),
        ("phrh", proved()),
        ("unknown", proved()),
        ("phr", proved(subject=a_subject("bob"))),
    ],
    ids=["weaker", "not verified", "not device-bound", "unknown level", "somebody else's"],
)
def test_what_does_not_reach_does_not_satisfy(acr: str, proof: Proof):
    assert not is_satisfied(asking(acr), proof)


def test_two_weak_proofs_are_no_strong_one():
    # A combination is passed for one challenge, not collected from several.
    assert not is_satisfied(asking("phr"), proved(passed=(A_TOTP,)), proved(passed=(A_TOTP,)))


@pytest.mark.parametrize(
    ("max_age", "asked", "ago", "satisfied"),
    [
        (5 * MINUTE, None, 5 * MINUTE, True),
        (5 * MINUTE, None, 5 * MINUTE + SECOND, False),
        # Without an age the level's own counts: ten minutes for phr.
        (None, None, 10 * MINUTE, True),
        (None, None, 10 * MINUTE + SECOND, False),
        # The request can ask for less, never for more.
        (5 * MINUTE, 60, MINUTE, True),
        (5 * MINUTE, 60, MINUTE + SECOND, False),
        (5 * MINUTE, 3600, 6 * MINUTE, False),
        (5 * MINUTE, 0, timedelta(0), False),
        (timedelta(0), None, timedelta(0), False),
        # From the future, by a clock that nobody can trust.
        (5 * MINUTE, None, -6 * SECOND, False),
    ],
)
def test_age(max_age: timedelta | None, asked: int | None, ago: timedelta, satisfied: bool):
    authorization = asking(max_age=max_age, request={"max_age": asked})
    assert is_satisfied(authorization, proved(ago)) is satisfied


def test_a_proof_ends_whatever_the_age_asked_for():
    weak = proved(LONGEST_PROOF, passed=(A_TOTP,))
    assert not is_satisfied(asking("urn:stepup:acr:1", max_age=timedelta(days=1)), weak)


@pytest.mark.parametrize(
    "needs",
    [{"once": True}, {"bind": frozenset({"payee"})}, {"max_age": timedelta(0)}],
    ids=["once", "bound", "due now"],
)
def test_what_needs_its_own_ceremony_is_satisfied_by_none_before(needs: dict):
    assert not is_satisfied(asking(**needs), proved(timedelta(0)))


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_oidc_3_1_2_3_a_request_for_a_ceremony_is_satisfied_by_none_before(prompt: str):
    assert not is_satisfied(asking(request={"prompt": frozenset({prompt})}), proved())


@pytest.mark.parametrize("prompt", ["none", "consent"])
def test_other_prompts_are_about_pages_not_ceremonies(prompt: str):
    assert is_satisfied(asking(request={"prompt": frozenset({prompt})}), proved())


def test_only_allowed_methods_count():
    by_key, by_app = frozenset({Method.WEBAUTHN}), frozenset({Method.TOTP})
    assert is_satisfied(asking("urn:stepup:acr:2", methods=by_key), proved())
    assert not is_satisfied(asking("urn:stepup:acr:2", methods=by_app), proved())
    both = proved(passed=(A_TOTP, A_TOUCH))
    assert is_satisfied(asking("urn:stepup:acr:2", methods=by_app), both)
    assert is_satisfied(asking("urn:stepup:acr:2", methods=by_key), both)


def test_young_authenticators_do_not_count_where_an_age_is_wanted():
    wanted = asking(min_credential_age=timedelta(days=7))
    assert is_satisfied(wanted, proved(credential_age=timedelta(days=7)))
    assert not is_satisfied(wanted, proved(credential_age=timedelta(days=6)))


def test_the_latest_of_several_proofs_is_taken():
    late, early = proved(MINUTE), proved(3 * MINUTE)
    weak = proved(SECOND, passed=(A_TOTP,))
    assert satisfying(DEFAULT_LADDER, asking(), (early, late, weak), NOON) == late


# --- what an answered challenge leaves ---------------------------------------------------------


def answered(**changes: object):
    return a_challenge(**{"passed": (A_TOUCH,), "verified_at": NOON + MINUTE} | changes)


def test_a_challenge_leaves_its_facts_and_its_moment():
    challenge = answered()
    proof = proof_of(challenge, DEFAULT_LADDER)
    assert proof == Proof(
        challenge_id=challenge.id,
        subject=challenge.authorization.subject,
        passed=(A_TOUCH,),
        auth_time=NOON + MINUTE,
        expires_at=NOON + MINUTE + LONGEST_PROOF,
        credential_age=MINUTE,
    )


def test_nothing_is_kept_for_longer_than_the_ladder_s_longest_age():
    ladder = Ladder((DEFAULT_LADDER.get(PHR),))
    proof = proof_of(answered(), ladder)
    assert proof is not None
    assert proof.expires_at - proof.auth_time == ladder.top.max_age


def test_nor_for_longer_than_an_hour():
    long = msgspec.structs.replace(DEFAULT_LADDER.top, max_age=timedelta(days=30))
    proof = proof_of(answered(), Ladder((long,)))
    assert proof is not None
    assert proof.expires_at - proof.auth_time == LONGEST_PROOF


def test_the_youngest_authenticator_that_can_have_answered_says_the_age():
    passkey = a_challenge().authenticators[1]
    older = msgspec.structs.replace(passkey, created_at=NOON - timedelta(days=9))
    younger = msgspec.structs.replace(passkey, created_at=NOON - timedelta(days=2))
    app = an_authenticator(created_at=NOON)
    proof = proof_of(
        answered(authenticators=(older, younger, app), verified_at=NOON), DEFAULT_LADDER
    )
    assert proof is not None
    assert proof.credential_age == timedelta(days=2)


def test_the_age_is_that_of_the_authenticator_that_answered_where_it_was_noted():
    passkey = a_challenge().authenticators[1]
    older = msgspec.structs.replace(passkey, created_at=NOON - timedelta(days=9))
    younger = msgspec.structs.replace(
        passkey, id=AuthenticatorId("younger"), created_at=NOON - timedelta(days=2)
    )
    touched = msgspec.structs.replace(A_TOUCH, authenticator_id=older.id)
    proof = proof_of(
        answered(authenticators=(older, younger), passed=(touched,), verified_at=NOON),
        DEFAULT_LADDER,
    )
    assert proof is not None
    assert proof.credential_age == timedelta(days=9)


def test_a_recovery_code_and_an_open_challenge_leave_nothing():
    recovered = answered(passed=(CeremonyFacts(method=Method.RECOVERY_CODE),))
    assert proof_of(recovered, DEFAULT_LADDER) is None
    assert proof_of(answered(verified_at=None), DEFAULT_LADDER) is None
    assert proof_of(answered(passed=()), DEFAULT_LADDER) is None


def test_a_session_knows_who_acted_in_it():
    signed_in = SignIn(identity=BaseIdentity(subject=ALICE), expires_at=NOON)
    for known in (BrowserSession(proofs=(proved(),)), BrowserSession(sign_in=signed_in)):
        assert known.knows(ALICE)
        assert not known.knows(a_subject("bob"))
    assert not BrowserSession().knows(ALICE)
