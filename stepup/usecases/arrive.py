"""A browser arrives with its challenge: it is answered by what was proved before, or it is shown.

`prompt=none` shows nothing: then it is answered, or refused to the client, and both at once.
"""

from enum import Enum

import msgspec

from stepup.domain.audit import AuditKind
from stepup.domain.authorization import Authorization
from stepup.domain.authorization_answer import Answer, target_of
from stepup.domain.authorization_errors import ConsentRequiredError, InteractionRequiredError
from stepup.domain.browser_session import Proof
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.checked_request import RefusedRequestError
from stepup.domain.errors import (
    ChallengeNotPendingError,
    InvalidRequestError,
    StepUpError,
    UnmetRequirementError,
)
from stepup.domain.ids import ChallengeId
from stepup.ports import Ports
from stepup.usecases import finish, sessions
from stepup.usecases.holder import (
    Browser,
    answerable_methods,
    browser_digest,
    find_held,
    find_pending,
)
from stepup.usecases.open_challenge import recorded
from stepup.usecases.sessions import SessionSecret


class Shows(Enum):
    """Which page comes next."""

    CHALLENGE = "challenge"
    CONSENT = "consent"


class Visitor(msgspec.Struct, frozen=True):
    """A browser: who holds its challenges, and what it is remembered for."""

    browser: Browser
    session: SessionSecret | None = None


async def arrive(ports: Ports, visitor: Visitor, challenge: Challenge) -> Answer | Shows:
    """Go on with a challenge that this browser has just brought.

    Raises:
        RefusedRequestError: If a page would have to be shown, and the request allows none.
    """
    silent = "none" in challenge.authorization.prompt
    if challenge.state is not ChallengeState.PENDING:
        return await _again(ports, visitor, challenge) if silent else Shows.CHALLENGE
    proof = await sessions.proof_for(ports, visitor.session, challenge)
    consent = _needs_consent(challenge.authorization)
    if proof is not None and not consent:
        return await _answered(ports, visitor.browser, challenge, proof)
    if silent:
        raise await _refused(ports, challenge, _why(ports, challenge, proof))
    return Shows.CHALLENGE if proof is None else Shows.CONSENT


async def may_agree(ports: Ports, visitor: Visitor, challenge_id: ChallengeId) -> bool:
    """Say whether a challenge needs nothing but the subject's word.

    Raises:
        ChallengeNotPendingError: If it was answered or cancelled.
    """
    challenge = await find_pending(ports, challenge_id, visitor.browser)
    return await sessions.proof_for(ports, visitor.session, challenge) is not None


async def agree(ports: Ports, visitor: Visitor, challenge_id: ChallengeId) -> Answer | Shows:
    """Take the subject's word for what the page showed; when too much time went by, ask again.

    Raises:
        ChallengeNotPendingError: If it was answered or cancelled.
    """
    challenge = await find_pending(ports, challenge_id, visitor.browser)
    proof = await sessions.proof_for(ports, visitor.session, challenge)
    if proof is None:
        return Shows.CHALLENGE
    return await _answered(ports, visitor.browser, challenge, proof)


def _needs_consent(authorization: Authorization) -> bool:
    """Say whether the subject must see something first that no ceremony has shown."""
    purpose = authorization.purpose
    return "consent" in authorization.prompt or bool(purpose and purpose.displayed)


async def _answered(
    ports: Ports, browser: Browser, challenge: Challenge, proof: Proof
) -> Answer | Shows:
    now = ports.clock.now()
    try:
        answered = await ports.state.challenges.answer_by_session(
            challenge.id, browser_digest(ports, browser), proof, now
        )
    except ChallengeNotPendingError:
        # Another tab was first; the page tells how it ended.
        return Shows.CHALLENGE
    entry = recorded(
        answered,
        AuditKind.CHALLENGE_VERIFIED,
        now,
        method="session",
        session=str(proof.challenge_id),
    )
    await ports.state.outbox.append(entry)
    return await _code(ports, browser, answered)


async def _again(ports: Ports, visitor: Visitor, challenge: Challenge) -> Answer | Shows:
    # The same browser with the same request: a repeated redirect, which must show nothing either.
    held = await find_held(ports, challenge.id, visitor.browser)
    if held.state is ChallengeState.VERIFIED:
        return await _code(ports, visitor.browser, held)
    raise _refusal(challenge, InvalidRequestError("The request was answered before."))


async def _code(ports: Ports, browser: Browser, answered: Challenge) -> Answer | Shows:
    passed = await finish.issue_code(ports, answered.id, browser)
    return passed.answer or Shows.CHALLENGE


def _why(ports: Ports, challenge: Challenge, proof: Proof | None) -> StepUpError:
    if proof is not None:
        return ConsentRequiredError()
    if not answerable_methods(ports, challenge):
        return UnmetRequirementError(finish.NOTHING_REACHES)
    return InteractionRequiredError()


async def _refused(ports: Ports, challenge: Challenge, cause: StepUpError) -> Exception:
    await finish.end(ports, challenge)
    return _refusal(challenge, cause)


def _refusal(challenge: Challenge, cause: StepUpError) -> Exception:
    target = target_of(challenge.authorization)
    return cause if target is None else RefusedRequestError(cause, target)
