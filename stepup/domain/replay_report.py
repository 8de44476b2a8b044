"""What a replay found, as people and programs read it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Ladder
from stepup.domain.authenticator import Authenticator, ceremonies_left
from stepup.domain.difference import DifferenceKind, Part
from stepup.domain.ids import ActionName, SubjectId
from stepup.domain.replay import EXAMPLES_PER_KIND, ActionTally, Example, Prompt, Prompted, Tally
from stepup.domain.requirement import OnUnenrolled, Requirement

# A report is read by people, and travels as one answer.
MOST_FLOWS = 500


class Ability(StrEnum):
    """Whether somebody could do what would be asked of him, with what he has enrolled now."""

    CAN = "can"
    MUST_ENROLL = "must_enroll"
    CANNOT = "cannot"
    UNKNOWN = "unknown"


class ActionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One action; decisions are counted as often as they were sampled."""

    action: ActionName
    decisions: int
    changed: int
    undecidable: int
    prompts_before: int
    prompts_after: int
    differences: dict[DifferenceKind, int]
    raised: dict[Part, int]
    lowered: dict[Part, int]


class FlowReport(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that went from one rule to another; no rule is the default."""

    action: ActionName
    before: str | None
    after: str | None
    difference: DifferenceKind | None
    decisions: int


class UndecidableReport(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of which nobody can say what they would be, and for want of what."""

    action: ActionName
    attribute: str
    decisions: int


class SubjectsReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many people; of decisions that were recorded as samples, at least so many.

    The last three are of those whom the draft asks for something it did not ask for before.
    """

    seen: int
    newly_prompted: int
    no_longer_prompted: int
    prompted_more_often: int
    prompted_less_often: int
    cannot_pass: int
    must_enroll: int
    not_known: int


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a replay found.

    `recorded` is the number of records, `decisions` what they stand for. `drifted` are decisions
    that the active policy would answer otherwise now than was answered at the time.
    """

    active_version: int
    since: datetime | None
    until: datetime | None
    recorded: int
    is_complete: bool
    decisions: int
    changed: int
    undecidable: int
    drifted: int
    prompts_before: int
    prompts_after: int
    subjects: SubjectsReport
    actions: Sequence[ActionReport]
    rules: Sequence[FlowReport]
    rules_left_out: int
    undecidable_for: Sequence[UndecidableReport]
    examples: Sequence[Example]
    cannot_pass_examples: Sequence[Example]


class Abilities:
    """Who could pass; kept for all parts of a replay, so that each person counts once."""

    def __init__(self, ladder: Ladder, now: datetime) -> None:
        self._ladder = ladder
        self._now = now
        self._known: dict[tuple[SubjectId, Requirement], Ability] = {}
        self._worst: dict[SubjectId, Ability] = {}
        self.examples: list[Example] = []

    def judge(
        self, prompt: Prompt, prompted: Prompted, authenticators: Sequence[Authenticator] | None
    ) -> None:
        """Judge somebody by his authenticators; None when they cannot be read here."""
        key = prompt.subject, prompt.requirement
        if key in self._known:
            return
        ability = self._known[key] = ability_of(
            self._ladder, prompt.requirement, authenticators, self._now
        )
        worst = self._worst.get(prompt.subject, Ability.CAN)
        self._worst[prompt.subject] = max(worst, ability, key=list(Ability).index)
        if ability is Ability.CANNOT and len(self.examples) < EXAMPLES_PER_KIND:
            self.examples.append(prompted.example)

    def unknown(self, prompts: Iterable[Prompt]) -> set[SubjectId]:
        """Name those of whom something is asked for the first time."""
        return {p.subject for p in prompts if (p.subject, p.requirement) not in self._known}

    @property
    def counts(self) -> Counter[Ability]:
        """Count people by the worst that would happen to each."""
        return Counter(self._worst.values())


def ability_of(
    ladder: Ladder,
    requirement: Requirement,
    authenticators: Sequence[Authenticator] | None,
    now: datetime,
) -> Ability:
    """Say whether somebody with these authenticators could meet a requirement, or its fallback."""
    if authenticators is None:
        return Ability.UNKNOWN
    for asked in filter(None, (requirement, requirement.fallen_back())):
        old_enough = [a for a in authenticators if now - a.created_at >= asked.min_credential_age]
        if ceremonies_left(asked, ladder.get(asked.acr), old_enough) is not None:
            return Ability.CAN
    if requirement.on_unenrolled is OnUnenrolled.ENROLL:
        return Ability.MUST_ENROLL
    return Ability.CANNOT


def report_of(
    tally: Tally, abilities: Abilities, *, active_version: int, is_complete: bool
) -> ReplayReport:
    """Write down what was counted."""
    actions = [_action(name, counted) for name, counted in tally.actions.items()]
    flows = tally.flows.most_common()
    return ReplayReport(
        active_version=active_version,
        since=tally.first_at,
        until=tally.last_at,
        recorded=tally.recorded,
        is_complete=is_complete,
        decisions=sum(each.decisions for each in actions),
        changed=sum(each.changed for each in actions),
        undecidable=sum(each.undecidable for each in actions),
        drifted=tally.drifted,
        prompts_before=sum(each.prompts_before for each in actions),
        prompts_after=sum(each.prompts_after for each in actions),
        subjects=_subjects(tally, abilities),
        actions=sorted(actions, key=lambda each: (-each.changed, each.action)),
        rules=[
            FlowReport(
                action=flow.action,
                before=flow.before,
                after=flow.after,
                difference=flow.difference,
                decisions=decisions,
            )
            for flow, decisions in flows[:MOST_FLOWS]
        ],
        rules_left_out=max(0, len(flows) - MOST_FLOWS),
        undecidable_for=[
            UndecidableReport(action=action, attribute=attribute, decisions=decisions)
            for (action, attribute), decisions in tally.undecidable.most_common(MOST_FLOWS)
        ],
        examples=[example for kind in DifferenceKind for example in tally.examples.get(kind, ())],
        cannot_pass_examples=abilities.examples,
    )


def _action(name: ActionName, counted: ActionTally) -> ActionReport:
    return ActionReport(
        action=name,
        decisions=counted.decisions,
        changed=counted.differences.total(),
        undecidable=counted.undecidable,
        prompts_before=counted.prompts_before,
        prompts_after=counted.prompts_after,
        differences=dict(sorted(counted.differences.items())),
        raised=dict(sorted(counted.raised.items())),
        lowered=dict(sorted(counted.lowered.items())),
    )


def _subjects(tally: Tally, abilities: Abilities) -> SubjectsReport:
    prompts = tally.subjects.values()
    counts = abilities.counts
    return SubjectsReport(
        seen=len(prompts),
        newly_prompted=sum(before == 0 < after for before, after in prompts),
        no_longer_prompted=sum(after == 0 < before for before, after in prompts),
        prompted_more_often=sum(0 < before < after for before, after in prompts),
        prompted_less_often=sum(0 < after < before for before, after in prompts),
        cannot_pass=counts[Ability.CANNOT],
        must_enroll=counts[Ability.MUST_ENROLL],
        not_known=counts[Ability.UNKNOWN],
    )
