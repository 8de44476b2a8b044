"""Why a decision is what it is: the story behind it, told for people.

The decision is `decide`'s own; nothing is decided here. Everything else is read from the policy,
the request and the authentication once more, by the very functions that decide. That costs what a
decision must not, so it is done on demand.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Approval, AuthnContext
from stepup.domain.binding import bound_digest
from stepup.domain.condition import EvaluationError, Inputs, Part, Reading
from stepup.domain.decision import Decision, StepUp, decide
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.demand import (
    Demand,
    GuardrailTold,
    Situation,
    asked_by,
    demand_of,
    guardrails_told,
)
from stepup.domain.ids import ActionName
from stepup.domain.matching import Match, what_rules_say
from stepup.domain.policy import Effect, Guardrail, Mode, Plan, Policy, Rule
from stepup.domain.requirement import Requirement

# Each part is compiled for itself, on the loop of a service that decides meanwhile: 40 ms.
_MOST_PARTS = 200


class Verdict(StrEnum):
    """What became of a rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


class RuleTold(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: its condition, what that gave, and of which parts and attributes it was made.

    `id` is None for the default. `parts` are there for the rule that decides, and for those before
    it as long as anybody would read them.
    """

    id: str | None
    verdict: Verdict
    then: Requirement | Effect
    condition: str | None = None
    error: str | None = None
    parts: tuple[Part, ...] = ()
    reads: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The decision and its story, in the order in which it happened.

    `doubt` says why the strongest requirement holds in place of the rules' outcome. `demand` is
    what is asked of the subject, None when that is nothing or would not help. `reported` is what
    would be asked if everything that is only reported were enforced, as the decision's basis says.
    """

    decision: Decision
    action: ActionName
    is_named: bool
    mode: Mode = Mode.ENFORCE
    approval: Approval | None = None
    readings: tuple[Reading, ...] = ()
    rules: tuple[RuleTold, ...] = ()
    doubt: str | None = None
    guardrails: tuple[GuardrailTold, ...] = ()
    exempt: bool = False
    demand: Demand | None = None
    reported: Demand | None = None


def explain(policy: Policy, situation: Situation) -> Explanation:
    """Decide, and say why."""
    # What the policy knows of subject and resource is part of what is decided on.
    request = policy.directory.completed(situation.request)
    situation = msgspec.structs.replace(situation, request=request)
    approval, now = situation.approval, situation.now
    decision = decide(policy, request, approval, now, degraded=situation.degraded)
    plan = policy.plan_for(request.action)
    if plan is None:
        return Explanation(
            decision=decision, action=request.action, is_named=False, approval=approval
        )
    match = what_rules_say(plan, request, approval, now)
    through = match if plan.mode is Mode.ENFORCE else Match(then=Effect.ALLOW)
    demand = _demand(policy, plan, situation, through, decision)
    told = decision.basis.reported
    everything = msgspec.structs.replace(plan, enforced=plan.told)
    reported = None if told is None else _demand(policy, everything, situation, match, told)
    context = approval.context if approval else None
    return Explanation(
        decision=decision,
        action=plan.action.name,
        is_named=plan.action.name in policy.actions,
        mode=plan.mode,
        approval=approval,
        readings=plan.action.schema.readings(request, context, now),
        rules=_rules(plan, request, context, now),
        doubt=match.error,
        guardrails=_guardrails(policy, plan, demand, reported),
        exempt=plan.action.exempt,
        demand=demand,
        reported=reported,
    )


def approval_for(
    policy: Policy, request: DecisionRequest, context: AuthnContext, now: datetime
) -> Approval:
    """Imagine an authentication that was made for this very action and these values."""
    asked = decide(policy, policy.directory.completed(request), None, now)
    asked = asked.basis.reported or asked
    bound = asked.bound if isinstance(asked, StepUp) else {}
    digest = bound_digest(request.action, bound)
    once = isinstance(asked, StepUp) and asked.requirement.once
    return Approval(context=context, action=request.action, bound_digest=digest, once=once)


def _demand(
    policy: Policy, plan: Plan, situation: Situation, match: Match, decision: Decision
) -> Demand | None:
    action, guardrails = plan.action, plan.enforced.guardrails
    asked = asked_by(plan, match, decision.basis.degraded)
    if asked is None:
        return None
    return demand_of(policy.ladder, action, asked, guardrails, situation)


# --- the rules --------------------------------------------------------------------------------


def _rules(
    plan: Plan, request: DecisionRequest, context: AuthnContext | None, now: datetime
) -> tuple[RuleTold, ...]:
    inputs = plan.action.schema.read(request, context, now)
    told: list[RuleTold] = []
    parts = 0
    over = plan.mode is Mode.OFF or isinstance(inputs, EvaluationError)
    for rule in plan.action.rules:
        if over or isinstance(inputs, EvaluationError):
            told.append(_rule(rule, Verdict.NOT_REACHED))
            continue
        told.append(_tried(rule, inputs, in_parts=parts < _MOST_PARTS))
        parts += len(told[-1].parts)
        over = told[-1].verdict is not Verdict.NOT_MATCHED
    verdict = Verdict.NOT_REACHED if over else Verdict.MATCHED
    return (*told, RuleTold(id=None, verdict=verdict, then=plan.action.default))


def _tried(rule: Rule, inputs: Inputs, *, in_parts: bool) -> RuleTold:
    if rule.when is None:
        return _rule(rule, Verdict.MATCHED)
    value = rule.when.holds(inputs)
    # The one that decides is always told in parts.
    parts = rule.when.parts(inputs) if in_parts or value is not False else ()
    if isinstance(value, EvaluationError):
        return _rule(rule, Verdict.FAILED, parts, value.reason)
    return _rule(rule, Verdict.MATCHED if value else Verdict.NOT_MATCHED, parts)


def _rule(
    rule: Rule, verdict: Verdict, parts: tuple[Part, ...] = (), error: str | None = None
) -> RuleTold:
    return RuleTold(
        id=rule.id,
        verdict=verdict,
        then=rule.then,
        condition=rule.when.source if rule.when else None,
        error=error,
        parts=parts,
        reads=tuple(sorted(rule.when.reads | rule.when.asks)) if rule.when else (),
    )


# --- the guardrails ---------------------------------------------------------------------------


def _guardrails(
    policy: Policy, plan: Plan, demand: Demand | None, reported: Demand | None
) -> tuple[GuardrailTold, ...]:
    """Tell what is enforced by what is asked, what is only reported by what would be."""
    reporting = _told(policy, plan, plan.told.guardrails, reported)
    enforcing = _told(policy, plan, plan.enforced.guardrails, demand)
    return tuple(
        msgspec.structs.replace(enforcing[id(each)], enforced=True)
        if id(each) in enforcing
        else reporting.get(id(each), GuardrailTold(id=each.id, demands=each.require))
        for each in policy.guardrails
    )


def _told(
    policy: Policy, plan: Plan, together: tuple[Guardrail, ...], demand: Demand | None
) -> dict[int, GuardrailTold]:
    asked = demand.asked if demand else None
    told = guardrails_told(plan.action, asked, together, policy.ladder)
    return dict(zip(map(id, together), told, strict=True))
