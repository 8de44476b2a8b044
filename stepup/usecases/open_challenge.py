"""Open a challenge: plan which of the subject's authenticators can answer it."""

from datetime import datetime

from stepup.domain.assurance import Level
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import usable_authenticators, usable_methods
from stepup.domain.authorization import Authorization
from stepup.domain.challenge import CHALLENGE_LIFETIME, Challenge
from stepup.domain.errors import (
    ChallengeNotPendingError,
    InvalidTicketError,
    UnmetRequirementError,
)
from stepup.ports import AuditRecorded, Ports
from stepup.usecases.credentials import authenticators_for_challenge, remember
from stepup.usecases.opening import Opening


async def open_challenge(
    ports: Ports,
    authorization: Authorization,
    opening: Opening,
    *,
    request_uri_digest: bytes | None,
) -> Challenge:
    """Open a challenge for an authorization; it may have no usable method, which a page explains.

    A challenge that was opened before for the very same authorization is returned as it stands.

    The authenticators that can answer go into the challenge, sealed, so that answering needs no
    database.

    Raises:
        InvalidTicketError: If its name was opened before for something else.
        DependencyUnavailableError: If nobody can say what the subject has.
    """
    now = ports.clock.now()
    level = level_of(ports, authorization)
    known = await authenticators_for_challenge(ports, authorization.subject)
    enrolled = known.authenticators
    useful = usable_authenticators(authorization.requirement, level, enrolled)
    challenge = Challenge(
        id=opening.challenge_id,
        authorization=authorization,
        methods=usable_methods(authorization.requirement, level, enrolled),
        authenticators=useful,
        opened_at=now,
        expires_at=now + CHALLENGE_LIFETIME,
    )
    try:
        await ports.state.challenges.open(challenge, request_uri_digest)
    except ChallengeNotPendingError as error:
        before = await ports.state.challenges.find(opening.challenge_id)
        if before is None or before.authorization != authorization:
            raise InvalidTicketError("The ticket was redeemed for another request.") from error
        return before
    await ports.state.outbox.append(
        recorded(challenge, AuditKind.CHALLENGE_OPENED, now, acr=challenge.acr_wanted)
    )
    await remember(ports, authorization.subject, known)
    return challenge


def level_of(ports: Ports, authorization: Authorization) -> Level:
    """Return the level that an authorization must reach.

    Raises:
        UnmetRequirementError: If the ladder lost it since the decision was made.
    """
    try:
        return ports.snapshot.policy.ladder.get(authorization.requirement.acr)
    except KeyError as error:
        raise UnmetRequirementError from error


def recorded(
    challenge: Challenge, kind: AuditKind, now: datetime, **details: str | int | bool
) -> AuditRecorded:
    """Make the entry of an audit event about a challenge."""
    authorization = challenge.authorization
    event = AuditEvent(
        kind=kind,
        at=now,
        client_id=authorization.client_id,
        subject_id=authorization.subject.id,
        action=authorization.purpose.action if authorization.purpose else None,
        challenge_id=challenge.id,
        details=dict(details),
    )
    return AuditRecorded(event=event)
