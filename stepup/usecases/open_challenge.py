"""Open a challenge: plan which of the subject's authenticators can answer it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stepup.domain.assurance import Acr, Level
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import (
    Authenticator,
    old_enough,
    usable_authenticators,
    usable_methods,
)
from stepup.domain.authorization import Authorization
from stepup.domain.challenge import CHALLENGE_LIFETIME, Challenge
from stepup.domain.errors import (
    ChallengeNotPendingError,
    DependencyUnavailableError,
    InvalidTicketError,
    UnmetRequirementError,
)
from stepup.domain.requirement import OnDegraded
from stepup.ports import AuditRecorded, Ports
from stepup.usecases.credentials import authenticators_for_challenge, remember
from stepup.usecases.degradation import REFUSED
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
        DependencyUnavailableError: If nobody can say what the subject has, or the policy wants to
            know it from PostgreSQL.
    """
    now = ports.clock.now()
    known = await authenticators_for_challenge(ports, authorization.subject)
    if known.read_at is None and authorization.requirement.on_degraded is OnDegraded.REFUSE:
        raise DependencyUnavailableError(REFUSED)
    ways = _ways(authorization)
    # Nobody who can meet the demand itself is offered less.
    challenge = _planned(ports, ways[0], opening, known.authenticators, now)
    for way in ways[1:]:
        if challenge.methods:
            break
        other = _planned(ports, way, opening, known.authenticators, now)
        challenge = other if other.methods else challenge
    try:
        await ports.state.challenges.open(challenge, request_uri_digest)
    except ChallengeNotPendingError as error:
        before = await ports.state.challenges.find(opening.challenge_id)
        if before is None or before.authorization not in ways:
            raise InvalidTicketError("The ticket was redeemed for another request.") from error
        return before
    fallback_for = challenge.authorization.fallback_for
    entry = recorded(
        challenge,
        AuditKind.CHALLENGE_OPENED,
        now,
        acr=challenge.acr_wanted,
        **({"fallback_for": fallback_for} if fallback_for else {}),
    )
    await ports.state.outbox.append(entry)
    await remember(ports, authorization.subject, known)
    return challenge


def _ways(authorization: Authorization) -> tuple[Authorization, ...]:
    """Return what is asked for, then the other levels that the client accepts, or the fallback."""
    demand = authorization.requirement
    fallback = demand.fallen_back()
    itself = msgspec.structs.replace(authorization, requirement=demand.settled())
    if authorization.acr_values:
        return tuple(_at(itself, acr) for acr in authorization.acr_values)
    if fallback is None:
        return (itself,)
    fallen = msgspec.structs.replace(authorization, requirement=fallback, fallback_for=demand.acr)
    return itself, fallen


def _at(authorization: Authorization, acr: Acr) -> Authorization:
    requirement = msgspec.structs.replace(authorization.requirement, acr=acr)
    return msgspec.structs.replace(authorization, requirement=requirement)


def _planned(
    ports: Ports,
    authorization: Authorization,
    opening: Opening,
    enrolled: Sequence[Authenticator],
    now: datetime,
) -> Challenge:
    level = level_of(ports, authorization)
    requirement = authorization.requirement
    counted = old_enough(requirement, enrolled, now)
    return Challenge(
        id=opening.challenge_id,
        authorization=authorization,
        methods=usable_methods(requirement, level, counted),
        authenticators=usable_authenticators(requirement, level, counted),
        opened_at=now,
        expires_at=now + CHALLENGE_LIFETIME,
    )


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
