"""The decision: what a policy makes of one request and the authentication behind it.

The first rule that matches wins; all guardrails that match are joined with its requirement, the
strictest of each part. A condition that cannot be evaluated raises the demand to the strongest
that the documents could ask for this action; it never falls through to a weaker rule.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.approval import is_approved, is_approved_by_fallback
from stepup.domain.assurance import Acr, Approval
from stepup.domain.binding import Properties, Value
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.matching import Match, what_rules_say
from stepup.domain.policy import (
    Action,
    Effect,
    Floors,
    Mode,
    Plan,
    Policy,
)
from stepup.domain.requirement import OnDegraded, Requirement, stricter


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on.

    `mode` is the action's, and `reported` what would have been decided if everything that is only
    reported were enforced. `degraded` says what was done because a dependency was away, and
    `fallback` names the level that was accepted in place of the one that is asked for.
    """

    policy_version: int
    rule: str | None = None
    guardrails: tuple[str, ...] = ()
    error: str | None = None
    mode: Mode = Mode.ENFORCE
    reported: "Decision | None" = None
    degraded: OnDegraded | None = None
    fallback: Acr | None = None


class AllowReason(StrEnum):
    """Why nothing more is needed; `NOT_ENFORCED` when it would be, if the mode were `enforce`."""

    NOT_REQUIRED = "not_required"
    ALREADY_SATISFIED = "already_satisfied"
    NOT_ENFORCED = "not_enforced"


class DenyReason(StrEnum):
    """Why no authentication would help."""

    UNKNOWN_ACTION = "unknown_action"
    RULE = "rule"
    MISSING_BOUND_ATTRIBUTE = "missing_bound_attribute"
    INVALID_ATTRIBUTE = "invalid_attribute"
    OBLIGATION_NOT_SUPPORTED = "obligation_not_supported"
    DEGRADED = "degraded"


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


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided on."""

    policy: Policy
    plan: Plan
    request: DecisionRequest
    approval: Approval | None
    now: datetime
    degraded: bool


def decide(
    policy: Policy,
    request: DecisionRequest,
    approval: Approval | None,
    now: datetime,
    *,
    degraded: bool = False,
) -> Decision:
    """Answer whether the authentication behind a request is good enough for its action.

    `degraded` while what the answer rests on cannot be confirmed: the policy says what then.
    """
    plan = policy.plan_for(request.action)
    if plan is None:
        # In every mode: what nobody wrote down is nothing that anybody wants to try out.
        basis = Basis(policy_version=policy.version)
        return Deny(reason=DenyReason.UNKNOWN_ACTION, basis=basis)
    case = _Case(
        policy=policy, plan=plan, request=request, approval=approval, now=now, degraded=degraded
    )
    match = what_rules_say(plan, request, approval, now)
    if plan.mode is Mode.ENFORCE:
        answer = _outcome(case, match, plan.enforced)
    else:
        # What is not enforced allows; the guardrails above it are nobody's to switch off.
        through = Match(then=Effect.ALLOW, wrong=match.wrong)
        answer = _outcome(case, through, plan.enforced)
    return _telling(answer, _outcome(case, match, plan.told)) if plan.reports else answer


def ask_least(
    policy: Policy, request: DecisionRequest, now: datetime, basis: Basis
) -> StepUp | Deny:
    """Ask for the least that an action ever asks for, whether it would be allowed without or not.

    So an approval that somebody wants of an allowed action is bound and shown like any other.
    """
    plan = policy.plan_for(request.action)
    if plan is None:
        return Deny(reason=DenyReason.UNKNOWN_ACTION, basis=basis)
    requirement = plan.enforced.raise_demand(plan.least, policy.ladder)
    bound = _values(plan.action, request, sorted(requirement.bind))
    unfit = _why_unfit(requirement, bound, what_rules_say(plan, request, None, now).wrong)
    if unfit is not None:
        return Deny(reason=unfit, basis=basis)
    return _step_up(plan.action, request, requirement, bound, basis)


def _outcome(case: _Case, match: Match, floors: Floors) -> Decision:
    plan, then = case.plan, match.then
    basis = _basis(case, match, floors)
    if then is Effect.DENY and match.error is None:
        text = match.rule.reason if match.rule else None
        return Deny(reason=DenyReason.RULE, basis=basis, text=text)
    if basis.degraded is OnDegraded.REFUSE:
        return Deny(reason=DenyReason.DEGRADED, basis=basis)
    if match.error is not None or basis.degraded is OnDegraded.RAISE:
        then = plan.strongest
    if then is Effect.ALLOW and not floors.guardrails:
        return Allow(reason=AllowReason.NOT_REQUIRED, basis=basis)
    demand = then if isinstance(then, Requirement) else plan.least
    requirement = floors.raise_demand(demand, case.policy.ladder)
    return _compared(case, requirement, basis, match.wrong)


def _basis(case: _Case, match: Match, floors: Floors) -> Basis:
    degraded = stricter(match.on_degraded, floors.on_degraded) if case.degraded else None
    return Basis(
        policy_version=case.policy.version,
        rule=match.rule.id if match.rule else None,
        guardrails=floors.ids,
        error=match.error,
        mode=case.plan.mode,
        degraded=degraded,
    )


def _compared(
    case: _Case, requirement: Requirement, basis: Basis, wrong: frozenset[str]
) -> Decision:
    """Compare what is asked for with the approval at hand."""
    action, approval, ladder = case.plan.action, case.approval, case.policy.ladder
    bound = _values(action, case.request, sorted(requirement.bind))
    unfit = _why_unfit(requirement, bound, wrong)
    if unfit is not None:
        return Deny(reason=unfit, basis=basis)
    if approval is not None:
        reason = AllowReason.ALREADY_SATISFIED
        if is_approved(ladder, requirement, action.name, bound, approval, case.now):
            return Allow(reason=reason, basis=basis)
        if is_approved_by_fallback(ladder, requirement, action.name, bound, approval, case.now):
            fallen = msgspec.structs.replace(basis, fallback=approval.context.acr)
            return Allow(reason=reason, basis=fallen)
    return _step_up(action, case.request, requirement, bound, basis)


def _step_up(
    action: Action,
    request: DecisionRequest,
    requirement: Requirement,
    bound: Properties,
    basis: Basis,
) -> StepUp:
    shown = _values(action, request, requirement.display)
    displayed = {name: value for name, value in shown.items() if value is not None}
    return StepUp(requirement=requirement, bound=bound, displayed=displayed, basis=basis)


def _telling(answer: Decision, reported: Decision) -> Decision:
    """Say with an answer what would have been decided."""
    basis = msgspec.structs.replace(answer.basis, reported=reported)
    answer = msgspec.structs.replace(answer, basis=basis)
    if basis.mode is not Mode.REPORT or not isinstance(answer, Allow):
        return answer
    reason = reported.reason if isinstance(reported, Allow) else AllowReason.NOT_ENFORCED
    return msgspec.structs.replace(answer, reason=reason)


def _why_unfit(
    requirement: Requirement, bound: Properties, wrong: frozenset[str]
) -> DenyReason | None:
    # What a subject approves it must be able to read, and a token bound to `1E1000` or to a list
    # where an amount belongs says nothing; no ceremony makes such a value a right one.
    if wrong and wrong & (requirement.bind | set(requirement.display)):
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
