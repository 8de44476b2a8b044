"""The gate of the account pages: each change is an action of the policy.

The first authenticator is enrolled with base login alone, for there is nothing yet to step up
with; the policy can demand a stronger or fresher base login for it.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stepup.domain.account import AccountSession
from stepup.domain.approval import is_fresh
from stepup.domain.assurance import Acr, Approval, Method
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import Authenticator
from stepup.domain.binding import bound_digest
from stepup.domain.decision import Allow, StepUp
from stepup.domain.errors import ActionDeniedError, StepUpRequiredError
from stepup.domain.ids import ActionName, Subject
from stepup.domain.recorded_decision import Decided
from stepup.domain.requirement import DEFAULT_TOKEN_LIFETIME, Requirement
from stepup.ports import Ports
from stepup.usecases import account, provision
from stepup.usecases.degradation import decide_now
from stepup.usecases.record import record

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
    if not any(a.usable for a in enrolled):
        await permit(ports, session, ADD_FIRST)
        return enrolled
    demand = _narrowed(ports, _demand(ports, session, ADD), enrolled)
    try:
        await permit(ports, session, ADD)
    except StepUpRequiredError as needed:
        raise StepUpRequiredError(ADD, demand) from needed
    if session.elevated_for != ADD and not _is_best(ports, session, enrolled):
        raise StepUpRequiredError(ADD, demand)
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
    request, approval = account.account_request(session, action, now), _approval(session, now)
    decision = decide_now(ports, policy, request, approval, now)
    decided = Decided(
        at=now,
        client_id=account.ACCOUNT_CLIENT_ID,
        subject=session.identity.subject,
        policy=policy,
        request=request,
        approval=approval,
        decision=decision,
    )
    record(ports, decided)
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


def _demand(ports: Ports, session: AccountSession, action: ActionName) -> Requirement:
    """Return what the policy would ask of somebody who has shown nothing yet."""
    now = ports.clock.now()
    request = account.account_request(session, action, now)
    decision = decide_now(ports, ports.snapshot.policy, request, None, now)
    ladder = ports.snapshot.policy.ladder
    return decision.requirement if isinstance(decision, StepUp) else Requirement(acr=ladder.acrs[0])


def _narrowed(ports: Ports, demand: Requirement, enrolled: Sequence[Authenticator]) -> Requirement:
    """Ask for the subject's best authenticator, or for a recovery code.

    Otherwise one phished code would be enough to enroll a passkey, and so to reach any level.
    Recovery codes are for whoever has lost the best one.
    """
    best = {a.method for a in enrolled if _level_of(ports, a) == _best_level(ports, enrolled)}
    allowed = frozenset({*best, Method.RECOVERY_CODE})
    methods = allowed if demand.methods is None else demand.methods & allowed
    return msgspec.structs.replace(demand, methods=methods)


def _is_best(ports: Ports, session: AccountSession, enrolled: Sequence[Authenticator]) -> bool:
    elevation, best = session.elevation, _best_level(ports, enrolled)
    ladder = ports.snapshot.policy.ladder
    return best is None or (elevation is not None and ladder.reaches(elevation.acr, best))


def _best_level(ports: Ports, enrolled: Sequence[Authenticator]) -> Acr | None:
    levels = [acr for a in enrolled if (acr := _level_of(ports, a)) is not None]
    return max(levels, key=ports.snapshot.policy.ladder.rank, default=None)


def _level_of(ports: Ports, authenticator: Authenticator) -> Acr | None:
    if authenticator.method is Method.RECOVERY_CODE or not authenticator.usable:
        return None
    return ports.snapshot.policy.ladder.level_of((authenticator.best_facts,))


def _approval(session: AccountSession, now: datetime) -> Approval | None:
    """Take the session's step-up for an approval of the action it was made for, while it is new.

    A policy that asks for a step-up right now wants one of its own for each action. It gets as
    much as from any other client: it is good for as long as its token lives.
    """
    elevation, made_for = session.elevation, session.elevated_for
    if elevation is None:
        return None
    if made_for is None or now - elevation.auth_time > DEFAULT_TOKEN_LIFETIME:
        # It tells which action's methods were asked for, and is no approval of its own any more.
        return Approval(context=elevation, action=made_for)
    # A step-up that ends on our own pages leaves no token that anybody could use again.
    digest = bound_digest(made_for, {})
    return Approval(context=elevation, action=made_for, bound_digest=digest, once=True)


def event_of(
    ports: Ports, subject: Subject, kind: AuditKind, **details: str | int | bool
) -> AuditEvent:
    """Make the audit event of a subject's own change."""
    return AuditEvent(kind=kind, at=ports.clock.now(), subject_id=subject.id, details=dict(details))
