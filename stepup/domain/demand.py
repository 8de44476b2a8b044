"""What is asked of a subject and where it comes from, for somebody who wants to know why."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase

import msgspec

from stepup.domain.assurance import Approval, Factor, Ladder, Level, Method
from stepup.domain.binding import Value
from stepup.domain.comparison import Compared, compare
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.matching import Match
from stepup.domain.policy import Action, Effect, Guardrail, Plan
from stepup.domain.requirement import OnDegraded, Requirement
from stepup.domain.ways import ways_to


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided on: the request, the authentication at hand, the time, and how things are."""

    request: DecisionRequest
    approval: Approval | None = None
    now: datetime
    degraded: bool = False


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules ask for, what the guardrails make of it, and what would satisfy that.

    `ways` are the combinations of the `level` that the methods allow. The authentication at hand
    is `compared` point by point.
    """

    asked: Requirement
    required: Requirement
    bound: Mapping[str, Value]
    compared: tuple[Compared, ...]
    level: Level
    ways: tuple[tuple[Factor, ...], ...]


class GuardrailTold(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail: by what it matched, and what of the requirement comes from it.

    `raises` are the parts that it makes stricter than the rules did, whatever the other guardrails
    do; `in_force` are those of them that the final requirement has from it. Both are empty where
    nothing is asked. One that is not `enforced` is only told.
    """

    id: str
    demands: Requirement
    enforced: bool = False
    matched_by: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    in_force: tuple[str, ...] = ()


def asked_by(plan: Plan, match: Match, degraded: OnDegraded | None) -> Requirement | None:
    """Return what is asked before any guardrail; None when nothing is, or no asking would help."""
    then = match.then
    denied = then is Effect.DENY and match.error is None
    if denied or degraded is OnDegraded.REFUSE:
        return None
    if match.error is not None or degraded is OnDegraded.RAISE:
        return plan.strongest
    if isinstance(then, Requirement):
        return then
    return plan.least if plan.enforced.guardrails else None


def demand_of(
    ladder: Ladder,
    action: Action,
    asked: Requirement,
    guardrails: tuple[Guardrail, ...],
    situation: Situation,
) -> Demand:
    """Join what is asked with the guardrails, and hold the authentication against it."""
    required = _joined(asked, guardrails, ladder)
    declared = {name: action.attribute(name) for name in sorted(required.bind)}
    sent = situation.request.value_of
    bound = {name: sent(attribute) if attribute else None for name, attribute in declared.items()}
    level = ladder.get(required.acr)
    return Demand(
        asked=asked,
        required=required,
        bound=bound,
        compared=compare(ladder, required, action.name, bound, situation.approval, situation.now),
        level=level,
        ways=ways_to(level, required),
    )


def guardrails_told(
    action: Action, asked: Requirement | None, together: tuple[Guardrail, ...], ladder: Ladder
) -> tuple[GuardrailTold, ...]:
    """Say what each of the guardrails does that are joined with what is asked."""
    if asked is None:
        return tuple(_told(guardrail, action) for guardrail in together)
    final = _joined(asked, together, ladder)
    alone = [asked.raised_by(guardrail.require, ladder) for guardrail in together]
    methods = {each.methods for each in alone if each.methods is not None}
    return tuple(
        msgspec.structs.replace(
            _told(guardrail, action),
            raises=_differing(asked, its),
            in_force=_in_force(asked, its, final, methods),
        )
        for guardrail, its in zip(together, alone, strict=True)
    )


# Parts to which every guardrail adds its share, whatever the others do.
_COLLECTED = frozenset({"bind", "display", "fallback"})


def _in_force(
    asked: Requirement,
    alone: Requirement,
    final: Requirement,
    methods: Collection[frozenset[Method]],
) -> tuple[str, ...]:
    # Of two that ask for the same both count. Two restrictions of the methods may each have its
    # share, unless one of them allows less than the other.
    surpassed = set(_differing(alone, final)) - _COLLECTED
    if alone.methods is not None and not any(others < alone.methods for others in methods):
        surpassed.discard("methods")
    return tuple(part for part in _differing(asked, alone) if part not in surpassed)


def _told(guardrail: Guardrail, action: Action) -> GuardrailTold:
    return GuardrailTold(
        id=guardrail.id, demands=guardrail.require, matched_by=_matched_by(guardrail, action)
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
