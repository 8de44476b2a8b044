"""Why a decision is what it is: the story behind it, told for people.

The decision is `decide`'s own; nothing is decided here. Everything else is read from the policy,
the request and the authentication once more, by the very functions that decide. That costs what a
decision must not, so it is done on demand.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from stepup.domain.assurance import Approval, AuthnContext, Factor, Ladder, Level
from stepup.domain.binding import Value, bound_digest
from stepup.domain.comparison import Compared, compare
from stepup.domain.condition import EvaluationError, Inputs, Part, Reading
from stepup.domain.decision import Decision, Deny, DenyReason, StepUp, decide
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from stepup.domain.policy import (
    Action,
    Effect,
    Guardrail,
    Policy,
    Rule,
    least_requirement,
    strongest_requirement,
)
from stepup.domain.requirement import Requirement


class Verdict(StrEnum):
    """What became of a rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


class RuleTold(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: its condition, what that gave, and of which parts and attributes it was made.

    `id` is None for the default. `parts` are there for a rule that was reached.
    """

    id: str | None
    verdict: Verdict
    then: Requirement | Effect
    condition: str | None = None
    error: str | None = None
    parts: tuple[Part, ...] = ()
    reads: tuple[str, ...] = ()


class GuardrailTold(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail: by what it matched, and what of the requirement comes from it.

    `raises` are the parts that it makes stricter than the rules did, whatever the other guardrails
    do; `in_force` are those of them that the final requirement has from it.
    """

    id: str
    demands: Requirement
    matched_by: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    in_force: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The decision and its story, in the order in which it happened.

    `doubt` says why the strongest requirement holds in place of the rules' outcome. `asked` is what
    the rules ask for and `required` what the guardrails make of it; both are None when nothing is
    asked or everything denied. `ways` are the combinations of the `level` that would satisfy it.
    """

    decision: Decision
    action: ActionName
    is_named: bool
    approval: Approval | None = None
    readings: tuple[Reading, ...] = ()
    rules: tuple[RuleTold, ...] = ()
    doubt: str | None = None
    guardrails: tuple[GuardrailTold, ...] = ()
    exempt: bool = False
    asked: Requirement | None = None
    required: Requirement | None = None
    bound: Mapping[str, Value] = {}
    compared: tuple[Compared, ...] = ()
    level: Level | None = None
    ways: tuple[tuple[Factor, ...], ...] = ()


def explain(
    policy: Policy, request: DecisionRequest, approval: Approval | None, now: datetime
) -> Explanation:
    """Decide, and say why."""
    request = policy.directory.completed(request)
    decision = decide(policy, request, approval, now)
    action = policy.find(request.action)
    if action is None:
        return Explanation(
            decision=decision, action=request.action, is_named=False, approval=approval
        )
    context = approval.context if approval else None
    rules = _rules(action, request, context, now)
    told = Explanation(
        decision=decision,
        action=action.name,
        is_named=action.name in policy.actions,
        approval=approval,
        readings=action.schema.readings(request, context, now),
        rules=rules,
        doubt=decision.basis.error,
        exempt=action.exempt,
        guardrails=_guardrails(policy, action, asked=None),
    )
    asked = _asked(policy, action, decision, rules)
    if asked is None:
        return told
    return _compared(told, policy, action, asked, request, now)


def approval_for(
    policy: Policy, request: DecisionRequest, context: AuthnContext, now: datetime
) -> Approval:
    """Imagine an authentication that was made for this very action and these values."""
    asked = decide(policy, policy.directory.completed(request), None, now)
    bound = asked.bound if isinstance(asked, StepUp) else {}
    digest = bound_digest(request.action, bound)
    return Approval(context=context, action=request.action, bound_digest=digest)


# --- the rules --------------------------------------------------------------------------------


def _rules(
    action: Action, request: DecisionRequest, context: AuthnContext | None, now: datetime
) -> tuple[RuleTold, ...]:
    inputs = action.schema.read(request, context, now)
    told: list[RuleTold] = []
    over = isinstance(inputs, EvaluationError)
    for rule in action.rules:
        if over or isinstance(inputs, EvaluationError):
            told.append(_rule(rule, Verdict.NOT_REACHED))
            continue
        told.append(_tried(rule, inputs))
        over = told[-1].verdict is not Verdict.NOT_MATCHED
    verdict = Verdict.NOT_REACHED if over else Verdict.MATCHED
    return (*told, RuleTold(id=None, verdict=verdict, then=action.default))


def _tried(rule: Rule, inputs: Inputs) -> RuleTold:
    if rule.when is None:
        return _rule(rule, Verdict.MATCHED)
    value = rule.when.holds(inputs)
    parts = rule.when.parts(inputs)
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


# --- what is asked ----------------------------------------------------------------------------


def _asked(
    policy: Policy, action: Action, decision: Decision, rules: Iterable[RuleTold]
) -> Requirement | None:
    """Return what the rules ask for, before any guardrail; None when nothing is to be asked."""
    if decision.basis.error is not None:
        return strongest_requirement(policy, action)
    if isinstance(decision, Deny) and decision.reason is DenyReason.RULE:
        return None
    then = next((told.then for told in rules if told.verdict is Verdict.MATCHED), action.default)
    if isinstance(then, Requirement):
        return then
    return least_requirement(policy.ladder, action) if policy.guardrails_for(action) else None


def _compared(
    told: Explanation,
    policy: Policy,
    action: Action,
    asked: Requirement,
    request: DecisionRequest,
    now: datetime,
) -> Explanation:
    required = _joined(asked, policy.guardrails_for(action), policy.ladder)
    declared = {name: action.attribute(name) for name in sorted(required.bind)}
    bound = {name: request.value_of(a) if a else None for name, a in declared.items()}
    return msgspec.structs.replace(
        told,
        guardrails=_guardrails(policy, action, asked),
        asked=asked,
        required=required,
        bound=bound,
        compared=compare(policy.ladder, required, action.name, bound, told.approval, now),
        level=policy.ladder.get(required.acr),
        ways=_ways(policy.ladder.get(required.acr), required),
    )


def _ways(level: Level, requirement: Requirement) -> tuple[tuple[Factor, ...], ...]:
    methods = requirement.methods
    return tuple(
        combination
        for combination in level.any_of
        if methods is None or all(factor.method in methods for factor in combination)
    )


# --- the guardrails ---------------------------------------------------------------------------


def _guardrails(
    policy: Policy, action: Action, asked: Requirement | None
) -> tuple[GuardrailTold, ...]:
    matching = policy.guardrails_for(action)
    return tuple(
        GuardrailTold(
            id=guardrail.id,
            demands=guardrail.require,
            matched_by=_matched_by(guardrail, action) if guardrail in matching else (),
        )
        if asked is None or guardrail not in matching
        else _raising(guardrail, action, asked, matching, policy.ladder)
        for guardrail in policy.guardrails
    )


def _raising(
    guardrail: Guardrail,
    action: Action,
    asked: Requirement,
    matching: tuple[Guardrail, ...],
    ladder: Ladder,
) -> GuardrailTold:
    final = _joined(asked, matching, ladder)
    alone = asked.raised_by(guardrail.require, ladder)
    without = _joined(asked, (other for other in matching if other is not guardrail), ladder)
    raises = _differing(asked, alone)
    # Of two that ask for the same both count; of two that restrict methods each has its share.
    same, needed = _differing(alone, final), _differing(without, final)
    return GuardrailTold(
        id=guardrail.id,
        demands=guardrail.require,
        matched_by=_matched_by(guardrail, action),
        raises=raises,
        in_force=tuple(part for part in raises if part not in same or part in needed),
    )


def _matched_by(guardrail: Guardrail, action: Action) -> tuple[str, ...]:
    tags = (f"tag {tag}" for tag in sorted(guardrail.tags & action.tags))
    patterns = (f"name {each}" for each in guardrail.actions if fnmatchcase(action.name, each))
    return (*tags, *patterns)


def _joined(asked: Requirement, guardrails: Iterable[Guardrail], ladder: Ladder) -> Requirement:
    for guardrail in guardrails:
        asked = asked.raised_by(guardrail.require, ladder)
    return asked


def _differing(first: Requirement, second: Requirement) -> tuple[str, ...]:
    return tuple(
        name
        for name in Requirement.__struct_fields__
        if getattr(first, name) != getattr(second, name)
    )
