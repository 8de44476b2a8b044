"""The policy: a catalog of actions, and the guardrails above them.

In an action the first rule that matches wins. Guardrails match by tag or name pattern and can
only raise. What is made of them is said in `decision.py`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import reduce

import msgspec
from typing_extensions import override

from stepup.domain.assurance import AuthnContext, Ladder
from stepup.domain.condition import AttributeSchema, Condition, Inputs
from stepup.domain.decision_request import Attribute, DecisionRequest
from stepup.domain.directory import Directory
from stepup.domain.ids import ActionName
from stepup.domain.requirement import OnDegraded, Requirement, stricter, strictest


class Effect(StrEnum):
    """What a rule does when it needs no authentication."""

    ALLOW = "allow"
    DENY = "deny"


class Mode(StrEnum):
    """Whether what the policy says of an action is done, only told, or not even worked out.

    In the order of strictness, the mildest first.
    """

    OFF = "off"
    REPORT = "report"
    ENFORCE = "enforce"


# Names of our own actions and guardrails begin like this; no document defines any.
RESERVED_PREFIX = "stepup."


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an action: when it applies, and what it demands."""

    id: str
    when: Condition | None = None
    then: Requirement | Effect
    reason: str | None = None


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """A floor above all actions that its tags or patterns match.

    Without a `mode` of its own it has the document's.
    """

    id: str
    require: Requirement
    tags: frozenset[str] = frozenset()
    actions: tuple[str, ...] = ()
    mode: Mode | None = None

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
    that may have missed a revocation. One that is our `own` is always enforced; without a `mode`
    any other has the document's.
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
    own: bool = False
    mode: Mode | None = None

    @property
    def demands(self) -> tuple[Requirement, ...]:
        """Everything that its rules and its default could ask for."""
        return tuple(then for then in self._outcomes if isinstance(then, Requirement))

    @property
    def may_allow(self) -> bool:
        """Say whether one of its rules, or its default, asks for nothing."""
        return Effect.ALLOW in self._outcomes

    @property
    def _outcomes(self) -> tuple[Requirement | Effect, ...]:
        return (*(rule.then for rule in self.rules), self.default)

    def attribute(self, name: str) -> Attribute | None:
        """Find a declared attribute."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        return None


class _NoAttributes(AttributeSchema):
    """The schema of an action that nobody declared."""

    @override
    def read(self, request: DecisionRequest, context: AuthnContext | None, now: datetime) -> Inputs:
        return _NoInputs()


class _NoInputs(Inputs):
    """Nothing to compare."""


class Floors(msgspec.Struct, frozen=True, kw_only=True):
    """Guardrails that stand above one action together.

    `raised` keeps what they make of each demand of the action, by the demand's own identity.
    """

    guardrails: tuple[Guardrail, ...]
    ids: tuple[str, ...]
    on_degraded: OnDegraded
    raised: dict[int, Requirement] = {}

    def raise_demand(self, demand: Requirement, ladder: Ladder) -> Requirement:
        """Join a demand that the action holds with all guardrails."""
        if not self.guardrails:
            return demand
        known = self.raised.get(id(demand))
        if known is None:
            known = demand
            for guardrail in self.guardrails:
                known = known.raised_by(guardrail.require, ladder)
            self.raised[id(demand)] = known
        return known


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks about one action, worked out when the policy is loaded.

    `enforced` are the guardrails that hold, `told` those that hold or are only reported. `least` is
    asked when anything is asked at all, and `strongest` where there is doubt.
    """

    action: Action
    mode: Mode
    enforced: Floors
    told: Floors
    least: Requirement
    strongest: Requirement

    @property
    def reports(self) -> bool:
        """Say whether anything is told that is not done."""
        return self.mode is Mode.REPORT or self.told is not self.enforced


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All levels, actions and guardrails of one immutable version.

    `directory` is what it knows of subjects and resources.
    """

    version: int
    ladder: Ladder
    actions: Mapping[ActionName, Action]
    guardrails: tuple[Guardrail, ...] = ()
    unknown_action: Effect = Effect.DENY
    mode: Mode = Mode.ENFORCE
    directory: Directory = Directory()
    plans: Mapping[ActionName, Plan] = {}

    def __post_init__(self) -> None:
        """Work out what speaks about each action, so that no decision has to."""
        plans = {name: self._plan(action) for name, action in self.actions.items()}
        msgspec.structs.force_setattr(self, "plans", plans)

    @property
    def catalog(self) -> tuple[ActionName, ...]:
        """Name the document's actions in its order, without our own."""
        return tuple(name for name, action in self.actions.items() if not action.own)

    def find(self, name: ActionName) -> Action | None:
        """Find an action; one that no document names only where they are expressly allowed."""
        plan = self.plan_for(name)
        return None if plan is None else plan.action

    def plan_for(self, name: ActionName) -> Plan | None:
        """Find what speaks about an action, None when it is denied for being unknown.

        An action that no document names, where they are allowed, has no attributes and no rules,
        but guardrails that match its name raise it like any other.
        """
        plan = self.plans.get(name)
        if plan is not None or self.unknown_action is not Effect.ALLOW:
            return plan
        own = name.startswith(RESERVED_PREFIX)
        return self._plan(Action(name=name, schema=_NoAttributes(), default=Effect.ALLOW, own=own))

    def guardrails_for(self, action: Action) -> tuple[Guardrail, ...]:
        """Return every guardrail that is enforced above an action."""
        plan = self.plans.get(action.name)
        known = plan if plan and plan.action is action else self._plan(action)
        return known.enforced.guardrails

    def enforced(self) -> "Policy":
        """Return it with everything enforced, whatever modes it has."""
        return msgspec.structs.replace(
            self,
            mode=Mode.ENFORCE,
            actions={n: msgspec.structs.replace(a, mode=None) for n, a in self.actions.items()},
            guardrails=tuple(msgspec.structs.replace(g, mode=None) for g in self.guardrails),
        )

    def _plan(self, action: Action) -> Plan:
        mode = Mode.ENFORCE if action.own else self.mode
        matching = [
            (guardrail, guardrail.mode or mode)
            for guardrail in self.guardrails
            if guardrail.matches(action)
        ]
        enforced = _floors(each for each, its in matching if its is Mode.ENFORCE)
        is_told = any(its is Mode.REPORT for _, its in matching)
        told = (each for each, its in matching if its is not Mode.OFF)
        return Plan(
            action=action,
            mode=mode if action.own else action.mode or mode,
            enforced=enforced,
            told=_floors(told) if is_told else enforced,
            least=least_requirement(self.ladder, action),
            strongest=strongest_requirement(self, action),
        )


def _floors(guardrails: Iterable[Guardrail]) -> Floors:
    held = tuple(guardrails)
    return Floors(
        guardrails=held,
        ids=tuple(guardrail.id for guardrail in held),
        on_degraded=reduce(
            stricter, (guardrail.require.on_degraded for guardrail in held), OnDegraded.SERVE
        ),
    )


def strongest_requirement(policy: Policy, action: Action) -> Requirement:
    """Join everything the documents could ask for an action; the answer to any doubt.

    When they ask for nothing anywhere, the top of the ladder, right now.
    """
    joined = strictest(action.demands, policy.ladder)
    least = least_requirement(policy.ladder, action)
    if joined is None:
        top = policy.ladder.top.acr
        return msgspec.structs.replace(least, acr=top, max_age=timedelta(0))
    # What is allowed by itself asks for the least when a guardrail raises it, and no doubt may ask
    # for less than that.
    if action.may_allow or (action.mode or policy.mode) is not Mode.ENFORCE:
        joined = joined.raised_by(least, policy.ladder)
    # Alternatives of different rules may share no method that reaches the highest level of them;
    # "strongest" must not mean "impossible".
    if not joined.is_reachable(policy.ladder.get(joined.acr)):
        return msgspec.structs.replace(joined, methods=None)
    return joined


def least_requirement(ladder: Ladder, action: Action) -> Requirement:
    """Return what the action asks for at the least when anything is asked at all."""
    return action.shared or Requirement(acr=ladder.levels[0].acr)
