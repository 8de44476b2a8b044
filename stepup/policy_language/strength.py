"""Find rules that ask more of a stronger authentication: who has proved more must not be worse off.

Conditions may look at `auth`, and what they make of it cannot be read from them. So decisions are
tried: for the requests of the action's tests and for two made of its attributes, with every level at
two ages. What is found is so; what is not found may still be.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice, pairwise

from stepup.domain.assurance import Approval, AuthnContext
from stepup.domain.binding import Value
from stepup.domain.decision import Allow, Decision, StepUp, decide
from stepup.domain.decision_request import Attribute, AttributeType, DecisionRequest, Entity
from stepup.domain.policy import Action, Policy
from stepup.policy_language.actions import WrittenAction
from stepup.policy_language.findings import Code, Findings

_AGES = (timedelta(hours=1), timedelta(0))
_MOST_REQUESTS = 20
_SAMPLES: Mapping[AttributeType, tuple[Value, Value]] = {
    AttributeType.STRING: ("a", "z"),
    AttributeType.INT: (1, 10**9),
    AttributeType.DOUBLE: (0.5, 1e9),
    AttributeType.DECIMAL: (1, 10**9),
    AttributeType.BOOL: (False, True),
    AttributeType.TIMESTAMP: ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    AttributeType.DURATION: (1, 10**9),
    AttributeType.IP: ("192.0.2.1", "10.0.0.1"),
    AttributeType.LIST: ([], ["a"]),
}


def lint_strength(
    written: WrittenAction,
    policy: Policy,
    asked: Iterable[DecisionRequest],
    now: datetime,
    findings: Findings,
) -> None:
    """Warn of each rule that is found to ask more of a stronger authentication."""
    conditions = [line.rule.when for line in written.rules if line.rule.when]
    if not any(_looks_at_auth(each.reads | each.asks) for each in conditions):
        return
    requests = (*islice(asked, _MOST_REQUESTS), *_made(written.action))
    punishing = {rule for request in requests for rule in _punishing(policy, request, now)}
    for line in written.rules:
        if line.rule.id in punishing:
            message = f"the rule `{line.rule.id}` asks more of a stronger authentication"
            findings.warn(Code.PUNISHED_STRENGTH, message, line.at)
    if None in punishing:
        message = "the default asks more of a stronger authentication than the rules before it"
        findings.warn(Code.PUNISHED_STRENGTH, message, written.default_at)


def strictness(decision: Decision, policy: Policy) -> tuple[float, float, float]:
    """Place a decision between "go ahead" and "never"."""
    if isinstance(decision, Allow):
        return (0, 0, 0)
    if not isinstance(decision, StepUp):
        return (2, 0, 0)
    requirement = decision.requirement
    age = requirement.max_age
    newest = float("-inf") if age is None else -age.total_seconds()
    return (1, policy.ladder.rank(requirement.acr), newest)


def _punishing(policy: Policy, request: DecisionRequest, now: datetime) -> Iterator[str | None]:
    for ladder in _ladders(policy, now):
        decisions = [decide(policy, request, approval, now) for approval in ladder]
        for weaker, stronger in pairwise(decisions):
            if strictness(stronger, policy) > strictness(weaker, policy):
                yield stronger.basis.rule


def _ladders(policy: Policy, now: datetime) -> Iterator[list[Approval | None]]:
    """Yield authentications from weak to strong: by level at each age, and by age at each level."""
    acrs = policy.ladder.acrs
    of = {
        (acr, age): Approval(context=AuthnContext(acr=acr, auth_time=now - age))
        for acr in acrs
        for age in _AGES
    }
    for age in _AGES:
        yield [None, *(of[acr, age] for acr in acrs)]
    for acr in acrs:
        yield [of[acr, age] for age in _AGES]


def _looks_at_auth(reads: Iterable[str]) -> bool:
    return any(path.startswith("auth.") for path in reads)


def _made(action: Action) -> Iterator[DecisionRequest]:
    for which in (0, 1):
        values: dict[Entity, dict[str, Value]] = {entity: {} for entity in Entity}
        for attribute in action.attributes:
            values[attribute.entity][attribute.name] = _sample(attribute, which)
        yield DecisionRequest(
            subject_type="user",
            subject_id="alice",
            action=action.name,
            resource_type="resource",
            resource_id="example",
            subject=values[Entity.SUBJECT],
            resource=values[Entity.RESOURCE],
            action_properties=values[Entity.ACTION],
            context=values[Entity.CONTEXT],
        )


def _sample(attribute: Attribute, which: int) -> Value:
    if not attribute.enum:
        return _SAMPLES[attribute.type][which]
    word = attribute.enum[-which]
    return [word] if attribute.type is AttributeType.LIST else word
