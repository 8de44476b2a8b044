"""Decide again what was recorded, as if a policy had been asked at the time.

A record does not show everything: of a `sensitive` attribute it has a digest, and an attribute that
was not declared at the time it does not have at all. What depends on such a value is `Undecidable`,
unless the record tells what became of the very same condition; nothing is guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn

import msgspec
from typing_extensions import override

from stepup.domain.approval import is_approved, is_approved_by_fallback
from stepup.domain.binding import Value
from stepup.domain.condition import Condition, Inputs
from stepup.domain.decision import (
    Allow,
    AllowReason,
    Decision,
    StepUp,
    decide,
)
from stepup.domain.decision_request import Attribute, AttributeType, DecisionRequest, Entity
from stepup.domain.ids import ActionName
from stepup.domain.policy import Action, Mode, Plan, Policy
from stepup.domain.recorded_decision import RecordedDecision

# Right values of each type. Nobody reads them: a condition that would is not evaluated.
_STAND_INS: Mapping[AttributeType, Value] = {
    AttributeType.STRING: "-",
    AttributeType.INT: 0,
    AttributeType.DOUBLE: 0.5,
    AttributeType.DECIMAL: 0,
    AttributeType.BOOL: False,
    AttributeType.TIMESTAMP: "2026-01-01T00:00:00Z",
    AttributeType.DURATION: 0,
    AttributeType.IP: "192.0.2.1",
    AttributeType.LIST: [],
}


# Far more than documents and callers differ in; what callers omit must not fill the memory.
_MOST_VIEWS = 4096


class Undecidable(msgspec.Struct, frozen=True):
    """The answer depends on an attribute that the record does not show."""

    attribute: str


Past = Callable[[int], Policy | None]
"""Finds the policy of a version; None when it is gone or cannot be read any more."""


class Redecider:
    """One policy, asked about what was recorded under others."""

    def __init__(self, policy: Policy, past: Past) -> None:
        self.policy = policy
        self._past = past
        self._declared: dict[ActionName, dict[str, Attribute]] = {}
        self._declared_then: dict[tuple[int, ActionName], frozenset[str]] = {}
        self._views: dict[tuple[object, ...], _View] = {}

    def decide(self, recorded: RecordedDecision) -> Decision | Undecidable:
        """Decide at the recorded time, with the recorded authentication."""
        request = self.policy.directory.completed(recorded.request)
        if request is not recorded.request:
            recorded = msgspec.structs.replace(recorded, request=request)
        action = self.policy.find(recorded.request.action)
        hidden = self._hidden(action, recorded) if action else frozenset[str]()
        if action is None or not hidden:
            return decide(
                self.policy,
                recorded.request,
                recorded.approval,
                recorded.at,
                degraded=recorded.degraded,
            )
        try:
            return self._view(action, recorded, hidden).decide(recorded)
        except _NotRecordedError as error:
            return Undecidable(error.attribute)

    def _hidden(self, action: Action, recorded: RecordedDecision) -> frozenset[str]:
        """Name the attributes of the action whose values cannot be known."""
        declared = self._declared.get(action.name)
        if declared is None:
            declared = self._declared[action.name] = dict(_paths(action))
        request = recorded.request
        absent = [path for path, each in declared.items() if request.value_of(each) is None]
        if not recorded.digested and not absent:
            return frozenset()
        hidden = recorded.digested.intersection(declared)
        return hidden.union(absent) - self._not_sent(recorded) if absent else hidden

    def _not_sent(self, recorded: RecordedDecision) -> frozenset[str]:
        """Name what would stand in the record if it had been sent."""
        key = (recorded.policy_version, recorded.request.action)
        declared = self._declared_then.get(key)
        if declared is None:
            then = self._plan_then(recorded)
            declared = frozenset(path for path, _ in _paths(then.action)) if then else frozenset()
            self._declared_then[key] = declared
        return declared - recorded.digested

    def _plan_then(self, recorded: RecordedDecision) -> Plan | None:
        policy = self._past(recorded.policy_version)
        return policy.plan_for(recorded.request.action) if policy else None

    def _view(self, action: Action, recorded: RecordedDecision, hidden: frozenset[str]) -> "_View":
        version, rule, error = recorded.policy_version, recorded.rule, recorded.error is not None
        key = (action.name, version, rule, error, hidden, recorded.digested)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= _MOST_VIEWS:
                self._views.clear()
            then = self._plan_then(recorded)
            view = self._views[key] = _View(self.policy, action, then, recorded, hidden)
        return view


class _View:
    """What can be told of one action when some of its attributes are hidden."""

    def __init__(
        self,
        policy: Policy,
        action: Action,
        then: Plan | None,
        recorded: RecordedDecision,
        hidden: frozenset[str],
    ) -> None:
        self._hidden = {p: attribute for p, attribute in _paths(action) if p in hidden}
        self._unreadable = _unreadable(self._hidden, then, recorded)
        known = _verdicts(then, recorded)
        same = {
            p for p, attribute in _paths(action) if then and attribute in then.action.attributes
        }
        rules = tuple(
            rule
            if rule.when is None or not (touched := _touched(rule.when, hidden, recorded.digested))
            else msgspec.structs.replace(
                rule,
                when=_Settled(known[rule.when.source])
                if rule.when.source in known and touched <= same
                else _Hidden(min(touched)),
            )
            for rule in action.rules
        )
        told = msgspec.structs.replace(action, rules=rules)
        self._action = told
        self._policy = msgspec.structs.replace(policy, actions={action.name: told})

    def decide(self, recorded: RecordedDecision) -> Decision:
        """Decide with stand-ins for what is hidden."""
        if self._unreadable is not None:
            raise _NotRecordedError(self._unreadable)
        request = _with_stand_ins(recorded.request, self._hidden.values())
        decision = decide(
            self._policy, request, recorded.approval, recorded.at, degraded=recorded.degraded
        )
        if isinstance(decision, StepUp) and self._is_approved(decision, recorded):
            return Allow(reason=AllowReason.ALREADY_SATISFIED, basis=decision.basis)
        return decision

    def _is_approved(self, decision: StepUp, recorded: RecordedDecision) -> bool:
        # A recorded approval is bound to digests as it was to the values, not to stand-ins.
        approval, action, requirement = recorded.approval, self._action, decision.requirement
        if approval is None or approval.action != action.name:
            return False
        declared = {name: action.attribute(name) for name in sorted(requirement.bind)}
        bound = {n: recorded.request.value_of(a) if a else None for n, a in declared.items()}
        ladder = self._policy.ladder
        return any(
            satisfies(ladder, requirement, action.name, bound, approval, recorded.at)
            for satisfies in (is_approved, is_approved_by_fallback)
        )


class _NotRecordedError(Exception):
    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute


class _Settled(Condition):
    """A condition whose answer the record tells."""

    def __init__(self, answer: bool) -> None:
        self._answer = answer

    @override
    def holds(self, inputs: Inputs) -> bool:
        return self._answer


class _Hidden(Condition):
    """A condition that looks at what the record does not show."""

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute

    @override
    def holds(self, inputs: Inputs) -> NoReturn:
        # Not an error as conditions have them: those are decided, with the strongest requirement.
        raise _NotRecordedError(self._attribute)


def _paths(action: Action) -> Iterator[tuple[str, Attribute]]:
    return ((f"{each.entity}.{each.name}", each) for each in action.attributes)


def _touched(
    condition: Condition, hidden: frozenset[str], digested: frozenset[str]
) -> frozenset[str]:
    # A digest says as well as the value that something was sent.
    return hidden & (condition.reads | (condition.asks - digested))


def _verdicts(then: Plan | None, recorded: RecordedDecision) -> dict[str, bool]:
    """Say what the conditions of the time gave, by their sources, as the deciding rule tells."""
    # Where rules were not enforced, no rule decided.
    if then is None or then.mode is not Mode.ENFORCE or recorded.error is not None:
        return {}
    rules = then.action.rules
    ids = [rule.id for rule in rules]
    if recorded.rule is not None and recorded.rule not in ids:
        return {}
    last = len(ids) if recorded.rule is None else ids.index(recorded.rule)
    verdicts = {rule.when.source: False for rule in rules[:last] if rule.when}
    verdicts |= {rule.when.source: True for rule in rules[last : last + 1] if rule.when}
    return verdicts


def _unreadable(
    hidden: Mapping[str, Attribute], then: Plan | None, recorded: RecordedDecision
) -> str | None:
    """Name an attribute of which not even its type is sure: a wrong one changes the answer."""
    declared = dict(_paths(then.action)) if then else {}
    for path, attribute in sorted(hidden.items()):
        if path not in recorded.digested:
            continue
        before = declared.get(path)
        if recorded.error is not None or before is None or _form(before) != _form(attribute):
            return path
    return None


def _form(attribute: Attribute) -> tuple[object, ...]:
    return attribute.type, attribute.enum, attribute.scale


def _with_stand_ins(request: DecisionRequest, hidden: Iterable[Attribute]) -> DecisionRequest:
    properties = {entity: dict(request.properties_of(entity)) for entity in Entity}
    for attribute in hidden:
        first = attribute.enum[0] if attribute.enum else _STAND_INS[AttributeType.STRING]
        is_text = attribute.type is AttributeType.STRING
        value = first if is_text else _STAND_INS[attribute.type]
        properties[attribute.entity][attribute.name] = value
    return msgspec.structs.replace(
        request,
        subject=properties[Entity.SUBJECT],
        resource=properties[Entity.RESOURCE],
        action_properties=properties[Entity.ACTION],
        context=properties[Entity.CONTEXT],
    )
