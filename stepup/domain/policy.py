"""The policy: a catalog of actions, the guardrails above them, and the decision.

In an action the first rule that matches wins. Guardrails match by tag or name pattern and can
only raise: all that match are joined with the rule's requirement, the strictest of each part.
A condition that cannot be evaluated raises the demand to the strongest that the documents could
ask for this action; it never falls through to a weaker rule.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec
from typing_extensions import override

from stepup.domain.assurance import Approval, AuthnContext, Ladder
from stepup.domain.binding import Properties, Value, bound_digest
from stepup.domain.ids import ActionName
from stepup.domain.requirement import Requirement, strictest


class AttributeType(StrEnum):
    """The types an attribute may be declared with."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    DECIMAL = "decimal"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    IP = "ip"
    LIST = "list"


class Entity(StrEnum):
    """Where in a request an attribute is found."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"
    CONTEXT = "context"


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """A declared attribute of an action's request.

    `scale` is the number of decimal places of a decimal; `default` stands in for a value that was
    not sent, in conditions only.
    """

    name: str
    type: AttributeType
    entity: Entity = Entity.ACTION
    required: bool = False
    enum: tuple[str, ...] = ()
    default: Value = None
    scale: int = 2
    sensitive: bool = False


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks about, in the entities of AuthZEN 1.0 section 5."""

    subject_type: str
    subject_id: str
    action: ActionName
    resource_type: str
    resource_id: str
    subject: Properties = {}
    resource: Properties = {}
    action_properties: Properties = {}
    context: Properties = {}

    def properties_of(self, entity: Entity) -> Properties:
        """Return the properties that came with one entity."""
        match entity:
            case Entity.SUBJECT:
                return self.subject
            case Entity.RESOURCE:
                return self.resource
            case Entity.ACTION:
                return self.action_properties
            case Entity.CONTEXT:
                return self.context

    def value_of(self, attribute: Attribute) -> Value:
        """Return the attribute's value, None when it was not sent."""
        return self.properties_of(attribute.entity).get(attribute.name)


class EvaluationError(msgspec.Struct, frozen=True):
    """Why a condition has no answer; `wrong` are the attributes that are not of their types."""

    reason: str
    wrong: frozenset[str] = frozenset()


class Inputs(Protocol):
    """A request's attributes, checked against an action's declaration and ready for conditions."""


class AttributeSchema(Protocol):
    """The declared attributes of an action, compiled."""

    def read(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> Inputs | EvaluationError:
        """Check the request's attributes; an error when one is missing or of the wrong type.

        The error names every attribute whose value is wrong, not only the first one.
        """
        ...


class Condition(Protocol):
    """A compiled `when`."""

    def holds(self, inputs: Inputs) -> bool | EvaluationError:
        """Evaluate on checked inputs; an error is a value, so that nobody forgets it."""
        ...


class Effect(StrEnum):
    """What a rule does when it needs no authentication."""

    ALLOW = "allow"
    DENY = "deny"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an action: when it applies, and what it demands."""

    id: str
    when: Condition | None = None
    then: Requirement | Effect
    reason: str | None = None


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """A floor above all actions that its tags or patterns match."""

    id: str
    require: Requirement
    tags: frozenset[str] = frozenset()
    actions: tuple[str, ...] = ()

    def matches(self, action: "Action") -> bool:
        """Say whether the action carries one of the tags or has a matching name."""
        if action.exempt:
            return False
        return bool(self.tags & action.tags) or any(
            fnmatchcase(action.name, pattern) for pattern in self.actions
        )


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What a subject wants to do, and which rules speak about it.

    `shared` is what all its demands have in common, at the lowest level: the token's settings,
    bound and displayed attributes. It holds too when a guardrail raises a rule that asks nothing.
    No guardrail speaks about an `exempt` action: enrolling the very first authenticator, for
    which there is nothing yet to step up with. Of a `critical` one nothing is said by an instance
    that may have missed a revocation.
    """

    name: ActionName
    title: Mapping[str, str] = {}
    description: Mapping[str, str] = {}
    tags: frozenset[str] = frozenset()
    attributes: tuple[Attribute, ...] = ()
    schema: AttributeSchema
    rules: tuple[Rule, ...] = ()
    default: Requirement | Effect
    shared: Requirement | None = None
    exempt: bool = False
    critical: bool = False

    @property
    def demands(self) -> tuple[Requirement, ...]:
        """Everything that its rules and its default could ask for."""
        outcomes = (*(rule.then for rule in self.rules), self.default)
        return tuple(then for then in outcomes if isinstance(then, Requirement))

    def attribute(self, name: str) -> Attribute | None:
        """Find a declared attribute."""
        return next((a for a in self.attributes if a.name == name), None)


class _NoAttributes(AttributeSchema):
    """The schema of an action that nobody declared."""

    @override
    def read(self, request: DecisionRequest, context: AuthnContext | None, now: datetime) -> Inputs:
        return _NoInputs()


class _NoInputs(Inputs):
    """Nothing to compare."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All levels, actions and guardrails of one immutable version."""

    version: int
    ladder: Ladder
    actions: Mapping[ActionName, Action]
    guardrails: tuple[Guardrail, ...] = ()
    unknown_action: Effect = Effect.DENY

    def find(self, name: ActionName) -> Action | None:
        """Find an action; one that no document names only where they are expressly allowed.

        Such an action has no attributes and no rules, but guardrails that match its name raise it
        like any other.
        """
        action = self.actions.get(name)
        if action is None and self.unknown_action is Effect.ALLOW:
            return Action(name=name, schema=_NoAttributes(), default=Effect.ALLOW)
        return action

    def guardrails_for(self, action: Action) -> tuple[Guardrail, ...]:
        """Return every guardrail that speaks about the action."""
        return tuple(guardrail for guardrail in self.guardrails if guardrail.matches(action))


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
    requirement = then if isinstance(then, Requirement) else _least(policy.ladder, action)
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


def strongest_requirement(policy: Policy, action: Action) -> Requirement:
    """Join everything the documents could ask for an action; the answer to any doubt.

    When they ask for nothing anywhere, the top of the ladder, right now.
    """
    joined = strictest(action.demands, policy.ladder)
    if joined is None:
        top = policy.ladder.top.acr
        least = _least(policy.ladder, action)
        return msgspec.structs.replace(least, acr=top, max_age=timedelta(0))
    # Alternatives of different rules may share no method that reaches the highest level of them;
    # "strongest" must not mean "impossible".
    if not joined.is_reachable(policy.ladder.get(joined.acr)):
        return msgspec.structs.replace(joined, methods=None)
    return joined


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


def _least(ladder: Ladder, action: Action) -> Requirement:
    return action.shared or Requirement(acr=ladder.levels[0].acr)


def _values(action: Action, request: DecisionRequest, names: Iterable[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name in names:
        attribute = action.attribute(name)
        values[name] = None if attribute is None else request.value_of(attribute)
    return values
