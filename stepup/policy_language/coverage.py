"""Which rules and defaults no test decides by."""

from collections.abc import Iterable

from stepup.domain.ids import ActionName
from stepup.domain.policy import Action
from stepup.policy_language.examples import Outcome


def uncovered(actions: Iterable[Action], outcomes: Iterable[Outcome]) -> list[str]:
    """Name each rule and default, as `action: rule`, that decided no test's request."""
    hit: set[tuple[ActionName, str]] = set()
    for outcome in outcomes:
        basis = outcome.decision.basis
        # What could not be evaluated was decided by no rule.
        if basis.error is None:
            hit.add((outcome.example.request.action, basis.rule or "default"))
    return [
        f"{action.name}: {name}"
        for action in actions
        for name in _outcomes_of(action)
        if (action.name, name) not in hit
    ]


def _outcomes_of(action: Action) -> list[str]:
    names: list[str] = []
    for rule in action.rules:
        names.append(rule.id)
        if rule.when is None:
            return names
    return [*names, "default"]
