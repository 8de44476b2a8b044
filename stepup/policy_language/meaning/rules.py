"""What changed in the rules of an action: added, removed, moved, or saying something else."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from stepup.domain.assurance import Ladder
from stepup.domain.policy import Action, Rule
from stepup.policy_language.meaning.conditions import are_apart, in_words, is_within
from stepup.policy_language.meaning.order import Outcome, direction_of_outcome
from stepup.policy_language.meaning.requirements import changes_of_outcome
from stepup.policy_language.meaning.statement import Change, Direction, joined
from stepup.policy_language.meaning.words import outcome_in_brief, outcome_in_words


class RuleChange(NamedTuple):
    """A change of one rule; `where` is when it applies, unless the change says that itself."""

    rule: str
    where: str
    change: Change


class _Both(NamedTuple):
    """An action before and after, and the ladder of the newer document."""

    before: Action
    after: Action
    ladder: Ladder


def changes_of_rules(before: Action, after: Action, ladder: Ladder) -> Iterator[RuleChange]:
    """Tell what changed in the rules, in their order."""
    both = _Both(before, after, ladder)
    old, new = _by_id(before), _by_id(after)
    for rule in after.rules:
        where = in_words(rule.when, after.attributes)
        if rule.id not in old:
            yield RuleChange(rule.id, where, _added(rule, both))
            continue
        was = old[rule.id]
        for change in changes_of_outcome(was.then, rule.then, ladder):
            yield RuleChange(rule.id, where, change)
        for change in _other_words(was, rule, both):
            yield RuleChange(rule.id, "" if change.part == "condition" else where, change)
    for rule in before.rules:
        if rule.id not in new:
            where = in_words(rule.when, before.attributes)
            yield RuleChange(rule.id, where, _removed(rule, both))
    yield from _moved(both)


def _added(rule: Rule, both: _Both) -> Change:
    said = outcome_in_words(rule.then)
    direction = joined(
        direction_of_outcome(instead, rule.then, both.ladder)
        for instead in _next_outcomes(rule, both.before, beside=both.after)
    )
    return Change(direction or Direction.DIFFERENT, "rule", f"is a new rule: {said}", None, said)


def _removed(rule: Rule, both: _Both) -> Change:
    said = outcome_in_words(rule.then)
    direction = joined(
        direction_of_outcome(rule.then, instead, both.ladder)
        for instead in _next_outcomes(rule, both.after, beside=both.before)
    )
    return Change(
        direction or Direction.DIFFERENT, "rule", f"has no rule any more: {said}", said, None
    )


def _next_outcomes(rule: Rule, other: Action, *, beside: Action) -> Iterator[Outcome]:
    """Return what a request that meets the rule may come to where the rule is not.

    `beside` has the rule: what stands before it there, and in the other too, gets such a request
    first in either.
    """
    order = [each.id for each in beside.rules]
    first = set(order[: order.index(rule.id)])
    for each in other.rules:
        if each.id in first or each.id == rule.id or are_apart(rule.when, each.when):
            continue
        yield each.then
        if is_within(rule.when, each.when):
            return
    yield other.default


def _other_words(was: Rule, rule: Rule, both: _Both) -> Iterator[Change]:
    if _source(was) != _source(rule):
        yield _other_condition(was, rule, both)
    if was.reason != rule.reason:
        text = "another reason is given"
        yield Change(Direction.DIFFERENT, "reason", text, was.reason, rule.reason)
    handled = {"id", "when", "then", "reason"}
    for name in Rule.__struct_fields__:
        old, new = getattr(was, name), getattr(rule, name)
        if name not in handled and old != new:
            text = f"`{name}` is {new} instead of {old}"
            yield Change(Direction.DIFFERENT, name, text, str(old), str(new))


def _other_condition(was: Rule, rule: Rule, both: _Both) -> Change:
    old = in_words(was.when, both.before.attributes)
    new = in_words(rule.when, both.after.attributes)
    narrower = joined(
        direction_of_outcome(was.then, instead, both.ladder)
        for instead in _next_outcomes(rule, both.after, beside=both.after)
    )
    wider = joined(
        direction_of_outcome(instead, rule.then, both.ladder)
        for instead in _next_outcomes(was, both.before, beside=both.before)
    )
    if is_within(rule.when, was.when):
        direction = narrower
    elif is_within(was.when, rule.when):
        direction = wider
    else:
        # For some it applies no more, for others anew; one of the two is never an improvement.
        direction = joined([narrower, wider, Direction.DIFFERENT])
    text = f"{outcome_in_brief(rule.then)} for {new} instead of {old}"
    return Change(direction or Direction.DIFFERENT, "condition", text, old, new)


def _moved(both: _Both) -> Iterator[RuleChange]:
    common = {rule.id for rule in both.before.rules} & {rule.id for rule in both.after.rules}
    old = [rule for rule in both.before.rules if rule.id in common]
    new = [rule for rule in both.after.rules if rule.id in common]
    for rule in _out_of_order(old, new):
        before, after = _places(rule, old), _places(rule, new)
        passed = [r for r in new if r.id in before ^ after and not are_apart(r.when, rule.when)]
        direction = joined(
            _of_passing(rule, each, both.ladder, earlier=each.id in before) for each in passed
        )
        names = ", ".join(each.id for each in new if each.id in before ^ after)
        to = "before" if before - after else "after"
        text = f"the rule {rule.id} moved, now {to} {names}"
        yield RuleChange(rule.id, "", Change(direction or Direction.DIFFERENT, "order", text))


def _of_passing(rule: Rule, other: Rule, ladder: Ladder, *, earlier: bool) -> Direction | None:
    if earlier:
        return direction_of_outcome(other.then, rule.then, ladder)
    return direction_of_outcome(rule.then, other.then, ladder)


def _places(rule: Rule, rules: Sequence[Rule]) -> frozenset[str]:
    """Return the rules that stand before one."""
    names = [each.id for each in rules]
    return frozenset(names[: names.index(rule.id)])


def _out_of_order(old: Sequence[Rule], new: Sequence[Rule]) -> Iterable[Rule]:
    before, after = [rule.id for rule in old], [rule.id for rule in new]
    kept: set[str] = set()
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for block in matcher.get_matching_blocks():
        kept.update(before[block.a : block.a + block.size])
    return [rule for rule in new if rule.id not in kept]


def _by_id(action: Action) -> dict[str, Rule]:
    return {rule.id: rule for rule in action.rules}


def _source(rule: Rule) -> str | None:
    return None if rule.when is None else rule.when.source
