"""The policy: a catalog of actions, and the guardrails above them.

In an action the first rule that matches wins. Guardrails match by tag or name pattern and can
only raise. What is made of them is said in `decision.py`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec
from typing_extensions import override

from stepup.domain.assurance import AuthnContext, Ladder
from stepup.domain.condition import AttributeSchema, Condition, Inputs
from stepup.domain.decision_request import Attribute, DecisionRequest
from stepup.domain.directory import Directory
from stepup.domain.ids import ActionName
from stepup.domain.requirement import Requirement, strictest


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
    """All levels, actions and guardrails of one immutable version.

    `catalog` names the actions that the document itself declares, without our own; `directory` is
    what it knows of subjects and resources.
    """

    version: int
    ladder: Ladder
    actions: Mapping[ActionName, Action]
    guardrails: tuple[Guardrail, ...] = ()
    unknown_action: Effect = Effect.DENY
    catalog: tuple[ActionName, ...] = ()
    directory: Directory = Directory()

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


def strongest_requirement(policy: Policy, action: Action) -> Requirement:
    """Join everything the documents could ask for an action; the answer to any doubt.

    When they ask for nothing anywhere, the top of the ladder, right now.
    """
    joined = strictest(action.demands, policy.ladder)
    if joined is None:
        top = policy.ladder.top.acr
        least = least_requirement(policy.ladder, action)
        return msgspec.structs.replace(least, acr=top, max_age=timedelta(0))
    # Alternatives of different rules may share no method that reaches the highest level of them;
    # "strongest" must not mean "impossible".
    if not joined.is_reachable(policy.ladder.get(joined.acr)):
        return msgspec.structs.replace(joined, methods=None)
    return joined


def least_requirement(ladder: Ladder, action: Action) -> Requirement:
    """Return what the action asks for at the least when anything is asked at all."""
    return action.shared or Requirement(acr=ladder.levels[0].acr)
