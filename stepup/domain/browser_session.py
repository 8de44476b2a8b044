"""What one browser has proved, so that a second action within the window asks nothing.

A proof is the facts of the ceremonies that answered one challenge. Its level is computed anew each
time, and it never gets younger: whatever rests on it has its `auth_time`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from stepup.domain.account import BaseIdentity
from stepup.domain.approval import CLOCK_LEEWAY
from stepup.domain.assurance import CeremonyFacts, Ladder, Method
from stepup.domain.authorization import Authorization
from stepup.domain.challenge import Challenge, givers_of
from stepup.domain.ids import ChallengeId, Subject

# The default ladder's longest age; whatever a policy says, nothing is remembered for longer.
LONGEST_PROOF = timedelta(hours=1)
# A second request needs no redirect to the base login meanwhile.
SIGN_IN_LIFETIME = timedelta(minutes=15)
# More than anybody passes within an hour; what goes first is what would end first.
KEPT_PER_BROWSER = 8

# `select_account` names no account here: whoever it is must act.
PROMPTS_FOR_A_CEREMONY = frozenset({"login", "select_account"})


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The ceremonies that answered one challenge in one browser.

    None of the authenticators that can have taken part was younger than `credential_age` then.
    """

    challenge_id: ChallengeId
    subject: Subject
    passed: tuple[CeremonyFacts, ...]
    auth_time: datetime
    expires_at: datetime
    credential_age: timedelta = timedelta(0)


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A base login that this browser came back from."""

    identity: BaseIdentity
    expires_at: datetime

    @property
    def began_at(self) -> datetime:
        """When it was finished."""
        return self.expires_at - SIGN_IN_LIFETIME


class BrowserSession(msgspec.Struct, frozen=True, kw_only=True):
    """All that one browser is remembered for; what has expired is not in it."""

    proofs: tuple[Proof, ...] = ()
    sign_in: SignIn | None = None

    def knows(self, subject: Subject) -> bool:
        """Say whether this subject has acted in this session before."""
        signed_in = self.sign_in is not None and self.sign_in.identity.subject == subject
        return signed_in or any(proof.subject == subject for proof in self.proofs)


def proof_of(challenge: Challenge, ladder: Ladder) -> Proof | None:
    """Take what an answered challenge proves beyond itself; None when that is nothing.

    A recovery code lets somebody in once: it is burned for one request.
    """
    verified_at = challenge.verified_at
    methods = {facts.method for facts in challenge.passed}
    if verified_at is None or not methods or Method.RECOVERY_CODE in methods:
        return None
    kept = min(LONGEST_PROOF, max(level.max_age for level in ladder.levels))
    givers = givers_of(challenge.passed)
    # Where nobody noted which of them it was, the youngest that it can have been counts.
    possible = [
        a
        for a in challenge.authenticators
        if (a.method in methods if givers is None else a.id in givers)
    ]
    ages = [verified_at - a.created_at for a in possible]
    return Proof(
        challenge_id=challenge.id,
        subject=challenge.authorization.subject,
        passed=challenge.passed,
        auth_time=verified_at,
        expires_at=verified_at + kept,
        credential_age=max(min(ages, default=timedelta(0)), timedelta(0)),
    )


def satisfying(
    ladder: Ladder, authorization: Authorization, proofs: Iterable[Proof], now: datetime
) -> Proof | None:
    """Return the latest proof that meets all that an authorization asks for.

    What needs a ceremony of its own (once-only, bound, no older than now) is met by none, nor is a
    request for one (`prompt`).
    """
    if authorization.requirement.needs_own_ceremony or (
        authorization.prompt & PROMPTS_FOR_A_CEREMONY
    ):
        return None
    meeting = [proof for proof in proofs if _meets(ladder, authorization, proof, now)]
    return max(meeting, key=lambda proof: proof.auth_time, default=None)


def longest_age(ladder: Ladder, authorization: Authorization) -> timedelta:
    """Return how old a proof may be that meets an authorization, and what is made of it."""
    asked, requirement = authorization.max_age, authorization.requirement
    ages = [LONGEST_PROOF]
    if requirement.max_age is not None:
        ages.append(requirement.max_age)
    elif requirement.acr in ladder:
        ages.append(ladder.get(requirement.acr).max_age)
    if asked is not None:
        ages.append(timedelta(seconds=asked))
    return min(ages)


def _meets(ladder: Ladder, authorization: Authorization, proof: Proof, now: datetime) -> bool:
    requirement = authorization.requirement
    # The facts name their methods, so nothing has to be read from words.
    allowed = tuple(
        facts
        for facts in proof.passed
        if requirement.methods is None or facts.method in requirement.methods
    )
    reached = ladder.level_of(allowed)
    return (
        proof.subject == authorization.subject
        and reached is not None
        and ladder.reaches(reached, requirement.acr)
        and proof.credential_age >= requirement.min_credential_age
        and now < proof.expires_at
        and _is_fresh(ladder, authorization, proof, now)
    )


def _is_fresh(ladder: Ladder, authorization: Authorization, proof: Proof, now: datetime) -> bool:
    # OpenID Connect Core section 3.1.2.1: 0 asks for a ceremony, however quick a request is.
    if authorization.max_age == 0:
        return False
    return -CLOCK_LEEWAY <= now - proof.auth_time <= longest_age(ladder, authorization)
