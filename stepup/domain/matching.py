"""What an action's own rules say about a request: the first that matches, or that there is doubt."""

from datetime import datetime

import msgspec

from stepup.domain.assurance import Approval
from stepup.domain.condition import EvaluationError
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.policy import Effect, Mode, Plan, Rule
from stepup.domain.requirement import OnDegraded, Requirement


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say; with an `error`, about the rule that cannot be evaluated, if it is one.

    `wrong` are the attributes whose values are not of their types.
    """

    then: Requirement | Effect
    rule: Rule | None = None
    error: str | None = None
    wrong: frozenset[str] = frozenset()
    on_degraded: OnDegraded = OnDegraded.SERVE


def what_rules_say(
    plan: Plan, request: DecisionRequest, approval: Approval | None, now: datetime
) -> Match:
    """Find the first rule that matches; the default when none does.

    The rules of an action that is switched off allow, and nobody looks at them.
    """
    action = plan.action
    if plan.mode is Mode.OFF and not plan.told.guardrails:
        return Match(then=Effect.ALLOW)
    inputs = action.schema.read(request, approval.context if approval else None, now)
    wrong = inputs.wrong if isinstance(inputs, EvaluationError) else frozenset()
    if plan.mode is Mode.OFF:
        return Match(then=Effect.ALLOW, wrong=wrong)
    on_degraded = action.shared.on_degraded if action.shared else OnDegraded.SERVE
    if isinstance(inputs, EvaluationError):
        return Match(then=action.default, error=inputs.reason, wrong=wrong, on_degraded=on_degraded)
    for rule in action.rules:
        verdict = True if rule.when is None else rule.when.holds(inputs)
        if isinstance(verdict, EvaluationError):
            error = f"{rule.id}: {verdict.reason}"
            return Match(then=action.default, rule=rule, error=error, on_degraded=on_degraded)
        if verdict:
            return _found(rule.then, rule, on_degraded)
    return _found(action.default, None, on_degraded)


def _found(then: Requirement | Effect, rule: Rule | None, of_action: OnDegraded) -> Match:
    on_degraded = then.on_degraded if isinstance(then, Requirement) else of_action
    return Match(then=then, rule=rule, on_degraded=on_degraded)
