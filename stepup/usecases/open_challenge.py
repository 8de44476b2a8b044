"""Open a challenge: plan which of the subject's authenticators can answer it."""

from datetime import datetime

from stepup.domain.assurance import Level
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import usable_methods
from stepup.domain.authorization import Authorization
from stepup.domain.challenge import CHALLENGE_LIFETIME, Challenge
from stepup.domain.errors import UnmetRequirementError
from stepup.domain.ids import ChallengeId
from stepup.ports import AuditRecorded, Ports


async def open_challenge(
    ports: Ports, authorization: Authorization, *, request_uri_digest: bytes | None
) -> Challenge:
    """Open a challenge for an authorization; it may have no usable method, which a page explains.

    The authenticators that can answer go into the challenge, sealed, so that answering needs no
    database.
    """
    now = ports.clock.now()
    level = level_of(ports, authorization)
    async with ports.database.transaction() as stores:
        enrolled = tuple(await stores.authenticators.of_subject(authorization.subject))
    methods = usable_methods(authorization.requirement, level, enrolled)
    challenge = Challenge(
        id=new_challenge_id(ports),
        authorization=authorization,
        methods=methods,
        authenticators=tuple(a for a in enrolled if a.usable and a.method in methods),
        opened_at=now,
        expires_at=now + CHALLENGE_LIFETIME,
    )
    await ports.state.challenges.open(challenge, request_uri_digest)
    await ports.state.outbox.append(
        recorded(challenge, AuditKind.CHALLENGE_OPENED, now, acr=challenge.acr_wanted)
    )
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


def new_challenge_id(ports: Ports) -> ChallengeId:
    """Make an identifier that names its region, so that any region finds its state."""
    return ChallengeId(f"{ports.site.region}.{ports.entropy.token(16)}")


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
