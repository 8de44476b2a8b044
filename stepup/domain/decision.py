"""The decision: what a policy makes of one request and the authentication behind it.

The first rule that matches wins; all guardrails that match are joined with its requirement, the
strictest of each part. A condition that cannot be evaluated raises the demand to the strongest
that the documents could ask for this action; it never falls through to a weaker rule.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Approval, AuthnContext, Ladder
from stepup.domain.binding import Properties, Value, bound_digest
from stepup.domain.condition import EvaluationError
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from stepup.domain.policy import (
    Action,
    Effect,
    Policy,
    Rule,
    least_requirement,
    strongest_requirement,
)
from stepup.domain.requirement import Requirement


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on."""

    policy_version: int
    rule: str | None = None
    guardrails: tuple[str, ...] = ()
    error: str | None = None


class AllowReason(StrEnum):
    """Why nothing more is needed."""

    NOT_REQUIRED = "not_required"
    ALREADY_SATISFIED = "already_satisfied"


class DenyReason(StrEnum):
    """Why no authentication would help."""

    UNKNOWN_ACTION = "unknown_action"
    RULE = "rule"
    MISSING_BOUND_ATTRIBUTE = "missing_bound_attribute"
    INVALID_ATTRIBUTE = "invalid_attribute"
    OBLIGATION_NOT_SUPPORTED = "obligation_not_supported"


class Allow(msgspec.Struct, frozen=True, kw_only=True):
    """Go ahead."""

    reason: AllowReason
    basis: Basis


class StepUp(msgspec.Struct, frozen=True, kw_only=True):
    """Go ahead once the subject has authenticated like this."""

    requirement: Requirement
    bound: Mapping[str, Value]
    displayed: Mapping[str, Value]
    basis: Basis


class Deny(msgspec.Struct, frozen=True, kw_only=True):
    """Do not go ahead."""

    reason: DenyReason
    basis: Basis
    text: str | None = None


Decision = Allow | StepUp | Deny

# The authentication may be a few seconds "in the future" between hosts with ordinary clocks.
CLOCK_LEEWAY = timedelta(seconds=5)
# The oldest that a living token's ceremony can be: a challenge's ten minutes from the ceremony to
# the code, a minute for the code, ten minutes for the token.
OWN_CEREMONY_LIFETIME = timedelta(minutes=21)


def decide(
    policy: Policy, request: DecisionRequest, approval: Approval | None, now: datetime
) -> Decision:
    """Answer whether the authentication behind a request is good enough for its action."""
    action = policy.find(request.action)
    if action is None:
        basis = Basis(policy_version=policy.version)
        return Deny(reason=DenyReason.UNKNOWN_ACTION, basis=basis)
    rule, then, error = _first_match(action, request, approval, now)
    if error is not None:
        then = strongest_requirement(policy, action)
    guardrails = policy.guardrails_for(action)
    basis = Basis(
        policy_version=policy.version,
        rule=rule.id if rule else None,
        guardrails=tuple(guardrail.id for guardrail in guardrails),
        error=error.reason if error else None,
    )
    if then is Effect.DENY:
        return Deny(reason=DenyReason.RULE, basis=basis, text=rule.reason if rule else None)
    if then is Effect.ALLOW and not guardrails:
        return Allow(reason=AllowReason.NOT_REQUIRED, basis=basis)
    requirement = (
        then if isinstance(then, Requirement) else least_requirement(policy.ladder, action)
    )
    for guardrail in guardrails:
        requirement = requirement.raised_by(guardrail.require, policy.ladder)
    bound = _values(action, request, sorted(requirement.bind))
    unfit = _why_unfit(requirement, bound, error)
    if unfit is not None:
        return Deny(reason=unfit, basis=basis)
    if approval and is_approved(policy.ladder, requirement, action.name, bound, approval, now):
        return Allow(reason=AllowReason.ALREADY_SATISFIED, basis=basis)
    shown = _values(action, request, requirement.display)
    displayed = {name: value for name, value in shown.items() if value is not None}
    return StepUp(requirement=requirement, bound=bound, displayed=displayed, basis=basis)


def is_fresh(requirement: Requirement, context: AuthnContext, now: datetime) -> bool:
    """Say whether an authentication is recent enough."""
    age = now - context.auth_time
    # An auth_time in the future means a clock we cannot trust: treat it as stale.
    return age >= -CLOCK_LEEWAY and (requirement.max_age is None or age <= requirement.max_age)


def is_approved(
    ladder: Ladder,
    requirement: Requirement,
    action: ActionName,
    bound: Properties,
    approval: Approval,
    now: datetime,
) -> bool:
    """Say whether an approval is strong enough, recent enough and made for these values.

    What is bound or once-only, or may be no older than now, needs a ceremony of its own: a general
    authentication, however strong, says nothing about the payee.
    """
    if not ladder.reaches(approval.context.acr, requirement.acr):
        return False
    if not requirement.needs_own_ceremony:
        return is_fresh(requirement, approval.context, now)
    if approval.action != action or approval.bound_digest != bound_digest(action, bound):
        return False
    if requirement.max_age == timedelta(0):
        # Such a token proves its freshness by its own short life.
        requirement = msgspec.structs.replace(requirement, max_age=OWN_CEREMONY_LIFETIME)
    return is_fresh(requirement, approval.context, now)


def _first_match(
    action: Action, request: DecisionRequest, approval: Approval | None, now: datetime
) -> tuple[Rule | None, Requirement | Effect, EvaluationError | None]:
    context = approval.context if approval else None
    inputs = action.schema.read(request, context, now)
    if isinstance(inputs, EvaluationError):
        return None, action.default, inputs
    for rule in action.rules:
        verdict = True if rule.when is None else rule.when.holds(inputs)
        if isinstance(verdict, EvaluationError):
            return rule, action.default, EvaluationError(f"{rule.id}: {verdict.reason}")
        if verdict:
            return rule, rule.then, None
    return None, action.default, None


def _why_unfit(
    requirement: Requirement, bound: Properties, error: EvaluationError | None
) -> DenyReason | None:
    # What a subject approves it must be able to read, and a token bound to `1E1000` or to a list
    # where an amount belongs says nothing; no ceremony makes such a value a right one.
    if error is not None and error.wrong & (requirement.bind | set(requirement.display)):
        return DenyReason.INVALID_ATTRIBUTE
    # A token bound to nothing would be good for any amount.
    if any(value is None for value in bound.values()):
        return DenyReason.MISSING_BOUND_ATTRIBUTE
    return None


def _values(action: Action, request: DecisionRequest, names: Iterable[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name in names:
        attribute = action.attribute(name)
        values[name] = None if attribute is None else request.value_of(attribute)
    return values
