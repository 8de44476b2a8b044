"""Replay: what a draft would have made of recorded decisions, beside the active policy.

Both decide again, at the recorded time and with the recorded authentication: what was answered at
the time may be an older policy's answer, and is counted as drift. A `Tally` counts; tallies of
parts add up to the tally of all of them.
"""

from collections import Counter
from datetime import datetime

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.decision import Decision, DenyReason, StepUp
from stepup.domain.difference import Difference, DifferenceKind, Part, difference_of
from stepup.domain.ids import ActionName, SubjectId
from stepup.domain.recorded_decision import Outcome, RecordedDecision, outcome_of
from stepup.domain.redeciding import Redecider, Undecidable
from stepup.domain.requirement import Requirement

EXAMPLES_PER_KIND = 5
# Anybody can ask about an action that no document names; they are one line together.
UNNAMED = ActionName("(unknown)")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's answer, as a report shows it."""

    outcome: Outcome
    rule: str | None = None
    guardrails: tuple[str, ...] = ()
    acr: Acr | None = None


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded decision that would be another one; no attribute is shown."""

    id: str
    at: datetime
    action: ActionName
    subject: SubjectId
    difference: DifferenceKind
    raised: tuple[Part, ...] = ()
    lowered: tuple[Part, ...] = ()
    before: Answered
    after: Answered


class Prompt(msgspec.Struct, frozen=True):
    """Somebody who would be asked for something that he was not asked for before."""

    subject: SubjectId
    action: ActionName
    requirement: Requirement


class Prompted(msgspec.Struct, kw_only=True):
    """How often that would be, and the first time."""

    decisions: int
    example: Example


class Flow(msgspec.Struct, frozen=True):
    """From which rule of an action to which; None is the default, or no rule at all."""

    action: ActionName
    before: str | None
    after: str | None
    difference: DifferenceKind | None


class ActionTally(msgspec.Struct, kw_only=True):
    """The decisions of one action, each counted as often as it was sampled."""

    decisions: int = 0
    undecidable: int = 0
    prompts_before: int = 0
    prompts_after: int = 0
    differences: Counter[DifferenceKind] = msgspec.field(default_factory=Counter)
    raised: Counter[Part] = msgspec.field(default_factory=Counter)
    lowered: Counter[Part] = msgspec.field(default_factory=Counter)

    def add(self, other: "ActionTally") -> None:
        """Count what another tally counted."""
        self.decisions += other.decisions
        self.undecidable += other.undecidable
        self.prompts_before += other.prompts_before
        self.prompts_after += other.prompts_after
        self.differences += other.differences
        self.raised += other.raised
        self.lowered += other.lowered


class Tally(msgspec.Struct, kw_only=True):
    """Everything counted; `prompts` holds only those that the draft adds or changes."""

    recorded: int = 0
    drifted: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    actions: dict[ActionName, ActionTally] = {}
    flows: Counter[Flow] = msgspec.field(default_factory=Counter)
    undecidable: Counter[tuple[ActionName, str]] = msgspec.field(default_factory=Counter)
    subjects: dict[SubjectId, tuple[int, int]] = {}
    prompts: dict[Prompt, Prompted] = {}
    examples: dict[DifferenceKind, list[Example]] = {}

    def add(self, other: "Tally") -> None:
        """Count what another tally counted."""
        self.recorded += other.recorded
        self.drifted += other.drifted
        self.first_at = min(filter(None, (self.first_at, other.first_at)), default=None)
        self.last_at = max(filter(None, (self.last_at, other.last_at)), default=None)
        self.flows += other.flows
        self.undecidable += other.undecidable
        for name, tally in other.actions.items():
            self.actions.setdefault(name, ActionTally()).add(tally)
        for subject, (before, after) in other.subjects.items():
            known = self.subjects.get(subject, (0, 0))
            self.subjects[subject] = known[0] + before, known[1] + after
        for prompt, prompted in other.prompts.items():
            self.prompted(prompt, prompted)
        for kind, examples in other.examples.items():
            kept = self.examples.setdefault(kind, [])
            kept.extend(examples[: EXAMPLES_PER_KIND - len(kept)])

    def prompted(self, prompt: Prompt, prompted: Prompted) -> None:
        """Count a prompt."""
        known = self.prompts.get(prompt)
        if known is None:
            self.prompts[prompt] = prompted
        else:
            known.decisions += prompted.decisions


class Replayer:
    """An active policy and a draft, side by side."""

    def __init__(self, active: Redecider, draft: Redecider) -> None:
        self._active = active
        self._draft = draft
        self._named = active.policy.actions.keys() | draft.policy.actions.keys()

    def replay(self, recorded: RecordedDecision, tally: Tally) -> None:
        """Decide one again under both, and count it."""
        name = recorded.request.action
        action = name if name in self._named else UNNAMED
        counted = tally.actions.setdefault(action, ActionTally())
        weight = recorded.sampled_as
        tally.recorded += 1
        tally.first_at = min(recorded.at, tally.first_at or recorded.at)
        tally.last_at = max(recorded.at, tally.last_at or recorded.at)
        counted.decisions += weight
        subject = recorded.subject_id
        prompts = tally.subjects.setdefault(subject, (0, 0))
        before = self._active.decide(recorded)
        after = before if self._draft is self._active else self._draft.decide(recorded)
        if isinstance(before, Undecidable) or isinstance(after, Undecidable):
            unknown = before if isinstance(before, Undecidable) else after
            counted.undecidable += weight
            tally.undecidable[action, getattr(unknown, "attribute", "")] += weight
            return
        tally.drifted += weight * _has_drifted(recorded, before)
        is_prompt, was_prompt = isinstance(after, StepUp), isinstance(before, StepUp)
        counted.prompts_before += weight * was_prompt
        counted.prompts_after += weight * is_prompt
        if is_prompt or was_prompt:
            tally.subjects[subject] = (
                prompts[0] + weight * was_prompt,
                prompts[1] + weight * is_prompt,
            )
        self._compare(recorded, action, before, after, tally)

    def _compare(
        self,
        recorded: RecordedDecision,
        action: ActionName,
        before: Decision,
        after: Decision,
        tally: Tally,
    ) -> None:
        difference = difference_of(before, after, self._draft.policy.ladder)
        rules = before.basis.rule, after.basis.rule
        weight = recorded.sampled_as
        if difference is None:
            if rules[0] != rules[1]:
                tally.flows[Flow(action, *rules, None)] += weight
            return
        tally.flows[Flow(action, *rules, difference.kind)] += weight
        counted = tally.actions[action]
        counted.differences[difference.kind] += weight
        for part in difference.raised:
            counted.raised[part] += weight
        for part in difference.lowered:
            counted.lowered[part] += weight
        examples = tally.examples.setdefault(difference.kind, [])
        asks = isinstance(after, StepUp)
        if not asks and len(examples) >= EXAMPLES_PER_KIND:
            return
        example = _example(recorded, difference, before, after)
        if len(examples) < EXAMPLES_PER_KIND:
            examples.append(example)
        if isinstance(after, StepUp):
            prompt = Prompt(recorded.subject_id, action, after.requirement)
            tally.prompted(prompt, Prompted(decisions=weight, example=example))


def _has_drifted(recorded: RecordedDecision, before: Decision) -> bool:
    # What the caller could not comply with was denied whatever the policy said.
    if recorded.reason == DenyReason.OBLIGATION_NOT_SUPPORTED:
        return False
    return outcome_of(before) is not recorded.outcome


def _example(
    recorded: RecordedDecision, difference: Difference, before: Decision, after: Decision
) -> Example:
    return Example(
        id=recorded.id,
        at=recorded.at,
        action=recorded.request.action,
        subject=recorded.subject_id,
        difference=difference.kind,
        raised=tuple(sorted(difference.raised)),
        lowered=tuple(sorted(difference.lowered)),
        before=answered(before),
        after=answered(after),
    )


def answered(decision: Decision) -> Answered:
    """Return what a report shows of a decision."""
    return Answered(
        outcome=outcome_of(decision),
        rule=decision.basis.rule,
        guardrails=decision.basis.guardrails,
        acr=decision.requirement.acr if isinstance(decision, StepUp) else None,
    )
