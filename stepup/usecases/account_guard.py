"""The gate of the account pages: each change is an action of the policy.

The first authenticator is enrolled with base login alone, for there is nothing yet to step up
with; the policy can demand a stronger or fresher base login for it.
"""

from collections.abc import Sequence
from datetime import datetime

from stepup.domain.account import AccountSession
from stepup.domain.assurance import Approval
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import Authenticator
from stepup.domain.binding import bound_digest
from stepup.domain.errors import ActionDeniedError, StepUpRequiredError
from stepup.domain.ids import ActionName, Subject
from stepup.domain.policy import Allow, StepUp, decide, is_fresh
from stepup.domain.requirement import DEFAULT_TOKEN_LIFETIME, Requirement
from stepup.ports import Ports
from stepup.usecases import account, provision

ADD_FIRST = ActionName("account.authenticator.add_first")
ADD = ActionName("account.authenticator.add")
RENAME = ActionName("account.authenticator.rename")
REMOVE = ActionName("account.authenticator.remove")
GENERATE_CODES = ActionName("account.recovery_codes.generate")


async def authenticators_of(ports: Ports, session: AccountSession) -> Sequence[Authenticator]:
    """Return the signed-in subject's authenticators."""
    return await provision.list_authenticators(ports, session.identity.subject)


async def permit_adding(ports: Ports, session: AccountSession) -> Sequence[Authenticator]:
    """Let a session add an authenticator, and return those that the subject has.

    Raises:
        StepUpRequiredError: If the session must step up first.
        ActionDeniedError: If the policy denies it.
    """
    enrolled = await authenticators_of(ports, session)
    has_any = any(a.usable for a in enrolled)
    await permit(ports, session, ADD if has_any else ADD_FIRST)
    return enrolled


async def permit(
    ports: Ports,
    session: AccountSession,
    action: ActionName,
    *,
    at_least: Requirement | None = None,
) -> None:
    """Let a session do one of its own actions, at no less than a given level.

    Raises:
        StepUpRequiredError: If the session must step up first.
        ActionDeniedError: If the policy denies it.
    """
    now = ports.clock.now()
    policy = ports.snapshot.policy
    decision = decide(
        policy, account.account_request(session, action, now), _approval(session, now), now
    )
    if isinstance(decision, StepUp):
        demand = decision.requirement
        raise StepUpRequiredError(
            action, demand if at_least is None else demand.raised_by(at_least, policy.ladder)
        )
    if not isinstance(decision, Allow):
        raise ActionDeniedError(decision.text)
    elevation = session.elevation
    if at_least is not None and (
        elevation is None
        or not policy.ladder.reaches(elevation.acr, at_least.acr)
        or not is_fresh(at_least, elevation, now)
    ):
        raise StepUpRequiredError(action, at_least)


def _approval(session: AccountSession, now: datetime) -> Approval | None:
    """Take the session's step-up for an approval of the action it was made for, while it is new.

    A policy that asks for a step-up right now wants one of its own for each action. It gets as
    much as from any other client: it is good for as long as its token lives.
    """
    elevation, made_for = session.elevation, session.elevated_for
    if elevation is None:
        return None
    if made_for is None or now - elevation.auth_time > DEFAULT_TOKEN_LIFETIME:
        return Approval(context=elevation)
    return Approval(context=elevation, action=made_for, bound_digest=bound_digest(made_for, {}))


def event_of(
    ports: Ports, subject: Subject, kind: AuditKind, **details: str | int | bool
) -> AuditEvent:
    """Make the audit event of a subject's own change."""
    return AuditEvent(kind=kind, at=ports.clock.now(), subject_id=subject.id, details=dict(details))
