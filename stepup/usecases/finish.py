"""Leave a challenge: with a code for the client, or with an error that says why not."""

import msgspec

from stepup.crypto import digests
from stepup.domain.audit import AuditKind
from stepup.domain.authorization_answer import Answer, answer_to, target_of
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import ChallengeNotPendingError
from stepup.domain.ids import ChallengeId, Handle
from stepup.domain.keyring import Keyring
from stepup.ports import Ports
from stepup.usecases.holder import Holder, answerable_methods, find_held
from stepup.usecases.open_challenge import recorded

NOTHING_REACHES = "No authenticator of the subject reaches the required level."


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A verified challenge and its code; `answer` when a browser brings the code back."""

    challenge: Challenge
    code: str
    answer: Answer | None

    def __repr__(self) -> str:
        return f"Passed({self.challenge.id})"


async def issue_code(ports: Ports, challenge_id: ChallengeId, holder: Holder) -> Passed:
    """Issue the one code of a verified challenge; asking again gives the same code.

    Raises:
        ChallengeNotPendingError: If the challenge is not verified, or its code was redeemed.
    """
    challenge = await find_held(ports, challenge_id, holder)
    if challenge.state is not ChallengeState.VERIFIED:
        raise ChallengeNotPendingError
    keyring = ports.snapshot.keyring
    secret = _code_secret(keyring, challenge_id)
    await ports.state.challenges.issue_code(
        challenge_id, code_digest(keyring, secret), ports.clock.now()
    )
    code = str(Handle(challenge_id, secret))
    return Passed(
        challenge=challenge,
        code=code,
        answer=_answer(ports, challenge, code=code),
    )


async def cancel(
    ports: Ports, challenge_id: ChallengeId, holder: Holder, *, reported: bool = False
) -> Answer | None:
    """End a challenge without an answer; returns the error that the browser brings back.

    `reported` when the subject says that it never asked for this.

    A subject who had nothing to answer with is told apart, so that the application can say so
    (OpenID Connect Core Unmet Authentication Requirements 1.0).

    Raises:
        ChallengeNotPendingError: If it was answered.
    """
    challenge = await find_held(ports, challenge_id, holder)
    could_answer = bool(answerable_methods(ports, challenge))
    await end(ports, challenge, reported=reported)
    error = "access_denied" if could_answer else "unmet_authentication_requirements"
    text = "The subject cancelled." if could_answer else NOTHING_REACHES
    return _answer(ports, challenge, error=error, error_description=text)


async def end(ports: Ports, challenge: Challenge, *, reported: bool = False) -> None:
    """End a challenge without an answer; again is harmless.

    Raises:
        ChallengeNotPendingError: If it was answered.
    """
    await ports.state.challenges.cancel(challenge.id)
    if challenge.state is ChallengeState.PENDING:
        now = ports.clock.now()
        entry = recorded(challenge, AuditKind.CHALLENGE_CANCELLED, now, reported=reported)
        await ports.state.outbox.append(entry)


def code_digest(keyring: Keyring, secret: str) -> bytes:
    """Digest the secret part of a code."""
    return digests.keyed_digest(digests.derive(keyring.root, "code-digest"), secret)


def _code_secret(keyring: Keyring, challenge_id: ChallengeId) -> str:
    # Computed, not drawn: two tabs, or a repeated request, get one code and not two.
    key = digests.derive(keyring.root, "code")
    return digests.encode(digests.keyed_digest(key, challenge_id))


def _answer(ports: Ports, challenge: Challenge, **parameters: str) -> Answer | None:
    target = target_of(challenge.authorization)
    return None if target is None else answer_to(target, ports.site.issuer, **parameters)
