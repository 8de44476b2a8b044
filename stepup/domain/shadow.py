"""A shadow: what a draft would answer to live requests, beside what is answered.

It is evaluated on the same request, authentication and moment, after the answer was given. Nothing
of it reaches a caller; differences are counted, and a few are kept as examples.
"""

from collections import Counter

import msgspec

from stepup.domain.decision import Decision, Deny, DenyReason, decide
from stepup.domain.difference import difference_of
from stepup.domain.ids import ActionName, DecisionId
from stepup.domain.policy import Policy
from stepup.domain.recorded_decision import Decided
from stepup.domain.replay import UNNAMED, Example, answered

SAME = "same"
"""No difference that a caller would see."""
FAILED = "failed"
"""The shadow could not be evaluated; the answer did not notice."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was answered; it stands for `weight` of them."""

    id: DecisionId
    decided: Decided
    weight: int = 1


class ShadowTally(msgspec.Struct, kw_only=True):
    """Decisions by action and result, and an example of each result, the latest."""

    counts: Counter[tuple[ActionName, str]] = msgspec.field(default_factory=Counter)
    examples: dict[str, Example] = {}

    def watch(self, watched: Watched, shadow: Policy) -> None:
        """Ask the shadow too, and count what it says."""
        decided = watched.decided
        if _rests_on_the_caller(decided.decision):
            return
        name = decided.request.action
        is_named = name in decided.policy.actions or name in shadow.actions
        action = name if is_named else UNNAMED
        try:
            result, example = _compared(watched, shadow)
        except Exception:  # noqa: BLE001  whatever it was: the answer is given already
            result, example = FAILED, None
        self.counts[action, result] += watched.weight
        if example is not None:
            self.examples[result] = example


def _rests_on_the_caller(decision: Decision) -> bool:
    # Every policy would have been overruled because of what the caller cannot do.
    return isinstance(decision, Deny) and decision.reason is DenyReason.OBLIGATION_NOT_SUPPORTED


def _compared(watched: Watched, shadow: Policy) -> tuple[str, Example | None]:
    decided = watched.decided
    # What the shadow knows of subject and resource is its own.
    request = shadow.directory.completed(decided.sent or decided.request)
    before = decided.decision
    degraded = before.basis.degraded is not None
    after = decide(shadow, request, decided.approval, decided.at, degraded=degraded)
    difference = difference_of(before, after, shadow.ladder)
    if difference is None:
        return SAME, None
    example = Example(
        id=watched.id,
        at=decided.at,
        action=decided.request.action,
        subject=decided.subject.id,
        difference=difference.kind,
        raised=tuple(sorted(difference.raised)),
        lowered=tuple(sorted(difference.lowered)),
        before=answered(before),
        after=answered(after),
    )
    return difference.kind.value, example
