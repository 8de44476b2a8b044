"""A pending demand that a subject authenticate again.

    pending --answer--> pending     (a combination needs another ceremony)
    pending --answer--> verified --issue code--> verified --redeem--> used
    pending --cancel--> denied
    pending --five wrong answers of one method--> pending, without that method

The store makes each step one atomic operation; this module says what the states mean.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Acr, Amr, CeremonyFacts, Method
from stepup.domain.authenticator import Authenticator
from stepup.domain.authorization import Authorization
from stepup.domain.ids import AuthenticatorId, ChallengeId

# Ten minutes for somebody who must first find a phone (UX CH-15).
CHALLENGE_LIFETIME = timedelta(minutes=10)
# Five tries, then the method is out for this challenge and pauses for the subject (UX CH-14).
TRIES_PER_METHOD = 5
METHOD_PAUSE = timedelta(minutes=15)
# WebAuthn Level 3 section 15.1 recommends 300 s.
CEREMONY_LIFETIME = timedelta(minutes=5)
# Three tabs must not disturb each other (UX CH-12); more are a mistake or an attack.
CEREMONIES_PER_CHALLENGE = 3


class ChallengeState(StrEnum):
    """Where a challenge stands."""

    PENDING = "pending"
    VERIFIED = "verified"
    USED = "used"
    DENIED = "denied"


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge as it was read; what changes it are the store's operations.

    `authenticators` are those of the subject that can answer, with their secrets: the store
    keeps them sealed. `by_session` when what the browser had proved before answered it.
    """

    id: ChallengeId
    state: ChallengeState = ChallengeState.PENDING
    authorization: Authorization
    methods: tuple[Method, ...]
    authenticators: tuple[Authenticator, ...]
    passed: tuple[CeremonyFacts, ...] = ()
    tries: dict[Method, int] = {}
    browser_digest: bytes | None = None
    opened_at: datetime
    expires_at: datetime
    verified_at: datetime | None = None
    by_session: bool = False

    @property
    def acr_wanted(self) -> Acr:
        """The level that this challenge must reach."""
        return self.authorization.requirement.acr

    def tries_left(self, method: Method) -> int:
        """Count the answers this method may still be given."""
        return max(0, TRIES_PER_METHOD - self.tries.get(method, 0))

    def open_methods(self) -> tuple[Method, ...]:
        """Return the planned methods that have tries left."""
        return tuple(method for method in self.methods if self.tries_left(method))

    def authenticators_for(self, method: Method) -> tuple[Authenticator, ...]:
        """Return the subject's authenticators of one method."""
        return tuple(a for a in self.authenticators if a.method is method)


def amr_of(passed: tuple[CeremonyFacts, ...]) -> tuple[Amr, ...]:
    """List the methods of all passed ceremonies; two different ones are "mfa" (RFC 8176)."""
    values = [value for facts in passed for value in facts.amr]
    if len({facts.method for facts in passed}) > 1:
        values.append(Amr("mfa"))
    return tuple(dict.fromkeys(values))


def givers_of(passed: tuple[CeremonyFacts, ...]) -> tuple[AuthenticatorId, ...] | None:
    """List the authenticators of all passed ceremonies; None when one of them was not noted."""
    noted = [facts.authenticator_id for facts in passed if facts.authenticator_id is not None]
    return tuple(dict.fromkeys(noted)) if len(noted) == len(passed) else None
