"""Pending challenges and their codes."""

from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.browser_session import Proof
from stepup.domain.challenge import Challenge
from stepup.domain.ids import (
    AttemptId,
    CeremonyId,
    ChallengeId,
    ClientId,
)


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to compare one answer with the secret; the try is already counted.

    `webauthn_challenge` is what the authenticator had to sign, when a ceremony was spent with it.
    """

    challenge: Challenge
    method: Method
    attempt: AttemptId
    webauthn_challenge: bytes | None = None


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A code's one redemption. `repeated` when the same attempt asked again."""

    challenge: Challenge
    redeemed_at: datetime
    repeated: bool = False


class PresentedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code as a client brought it; all of it must fit what the code was issued for.

    `code_challenge` was computed from the verifier that came with the request (RFC 7636). Where it
    fits, `redirect_uri` may be left out (OAuth 2.1 section 4.1.3): the verifier says who asked, and
    from where. `jkt` is the DPoP key that came; it must fit a code that is bound to one.
    """

    challenge_id: ChallengeId
    digest: bytes
    client_id: ClientId
    redirect_uri: str | None
    code_challenge: str | None
    jkt: str | None = None


class CodeTakenError(Exception):
    """Another attempt has redeemed this code: what it gave must be revoked (RFC 6749 4.1.2)."""

    def __init__(self, challenge_id: ChallengeId) -> None:
        super().__init__(challenge_id)
        self.challenge_id = challenge_id


class ChallengeStore(Protocol):
    """Pending challenges and their codes; each answer is counted, each challenge is spent once.

    Secrets in a challenge lie sealed. Everything here expires by itself, ten minutes after it
    ended, so that a late replay is told from an unknown challenge.
    """

    async def open(self, challenge: Challenge, request_uri_digest: bytes | None) -> None:
        """Keep a new challenge, acknowledged by a replica where there is one.

        Raises:
            ChallengeNotPendingError: If the identifier is taken.
        """
        ...

    async def find(self, challenge_id: ChallengeId) -> Challenge | None:
        """Return the challenge as it stands, None when there is none."""
        ...

    async def claim(
        self, challenge_id: ChallengeId, request_uri_digest: bytes, browser_digest: bytes
    ) -> Challenge:
        """Tie the challenge to the first browser that brings its `request_uri`.

        The same browser may come again; the `request_uri` is used up by the answer, not by
        looking at the page (FAPI 2.0 section 5.3.2.2, note 3).

        Raises:
            ChallengeNotFoundError: If there is no such challenge, or the digest is another.
            WrongBrowserError: If another browser has it.
        """
        ...

    async def begin_ceremony(
        self, challenge_id: ChallengeId, ceremony_id: CeremonyId, webauthn_challenge: bytes
    ) -> tuple[CeremonyId, bytes]:
        """Keep the random bytes that an authenticator will sign.

        Up to three are outstanding; past that the newest outstanding one is returned, so a
        reload never makes another tab's ceremony void.

        Raises:
            ChallengeNotPendingError: If the challenge is not pending any more.
        """
        ...

    async def begin_answer(
        self,
        challenge_id: ChallengeId,
        method: Method,
        attempt: AttemptId,
        now: datetime,
        ceremony_id: CeremonyId | None = None,
    ) -> Permit:
        """Count one try, before anything is compared, and hand out what is needed to compare.

        A ceremony is spent in the same step: of concurrent answers to one WebAuthn challenge one
        gets it. The same attempt gets the same permit and is not counted again.

        Raises:
            ChallengeNotFoundError: If there is no such challenge, or it has expired.
            ChallengeNotPendingError: If it was answered, cancelled or denied.
            VerificationFailedError: If this method has no tries left (`tries_left` is 0).
            CeremonyExpiredError: If the ceremony was spent or is unknown.
        """
        ...

    async def finish_answer(
        self, permit: Permit, facts: CeremonyFacts, *, verified: bool, now: datetime
    ) -> Challenge:
        """Record a passed ceremony; with `verified` the challenge is answered.

        Of any number of concurrent attempts exactly one gets it, also across a failover; the same
        attempt repeated gets the same answer. It may come again with `verified` when its facts are
        enough together with those that others recorded meanwhile.

        Raises:
            ChallengeNotPendingError: If another attempt was first.
        """
        ...

    async def answer_by_session(
        self, challenge_id: ChallengeId, browser_digest: bytes, proof: Proof, now: datetime
    ) -> Challenge:
        """Answer a pending challenge by what its browser has proved before.

        Its ceremonies are the proof's then, and it was verified when they were: nothing gets
        younger. The same proof again is harmless.

        Raises:
            ChallengeNotFoundError: If there is no such challenge, or it has expired.
            ChallengeNotPendingError: If it was answered otherwise, cancelled or denied.
            WrongBrowserError: If it is not this browser's.
        """
        ...

    async def cancel(self, challenge_id: ChallengeId) -> Challenge:
        """End a pending challenge without an answer; cancelling twice is harmless.

        Raises:
            ChallengeNotFoundError: If there is no such challenge.
            ChallengeNotPendingError: If it was answered.
        """
        ...

    async def issue_code(
        self, challenge_id: ChallengeId, code_digest: bytes, now: datetime
    ) -> None:
        """Keep the one code of a verified challenge; again is harmless and extends nothing.

        Raises:
            ChallengeNotPendingError: If the challenge is not verified, or its code was redeemed.
        """
        ...

    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime, *, everywhere: bool = False
    ) -> Redemption:
        """Spend a code; of all attempts one gets it, and the same attempt gets it again.

        With `everywhere` every replica that there should be holds it, of which there must be one:
        then no failover can forget it.

        When the requirement says once, the record that `TokenStore.consume` spends is made in the
        same step.

        Raises:
            CodeTakenError: If another attempt has redeemed it.
            InvalidGrantError: If it is unknown, expired, or anything it is bound to differs; a
                code that was not redeemed stays as it was.
        """
        ...

    async def release_code(
        self, challenge_id: ChallengeId, attempt: AttemptId, until: datetime
    ) -> None:
        """Give a code back that this attempt has redeemed, if it has; another may redeem it then.

        Only for an attempt that granted nothing and never comes again, and while no other has asked
        for the code: the replay has ended its token. Returns at once and is
        tried until then; what is not given back stays spent.
        """
        ...
