"""What changed in an action that both documents have, and what came or went."""

from collections.abc import Iterator
from typing import NamedTuple

from stepup.domain.decision_request import Attribute
from stepup.domain.ids import ActionName
from stepup.domain.policy import Action, Effect, Mode, Policy
from stepup.domain.requirement import Requirement
from stepup.policy_language.meaning.conditions import in_words
from stepup.policy_language.meaning.order import direction_of_outcome, direction_of_part
from stepup.policy_language.meaning.requirements import changes_of_outcome, changes_of_requirement
from stepup.policy_language.meaning.rules import changes_of_rules
from stepup.policy_language.meaning.statement import (
    About,
    Change,
    Direction,
    Statement,
    joined,
)
from stepup.policy_language.meaning.words import outcome_in_words, value_in_words

_OTHERWISE = "otherwise"
# Told by themselves, worked out of the others, or nobody's to decide by.
_HANDLED = frozenset({"name", "attributes", "schema", "rules", "default", "shared", "mode"})


class _Told(NamedTuple):
    where: str
    rule: str | None
    change: Change


def statements_of_actions(before: Policy, after: Policy) -> Iterator[Statement]:
    """Tell what changed in the actions, in the order of the newer document."""
    for name, action in after.actions.items():
        was = before.actions.get(name)
        if was is None:
            yield _added(action, before, after)
        else:
            yield from _changed(was, action, before, after)
    for name, action in before.actions.items():
        if name not in after.actions:
            yield _removed(action, after)


def _added(action: Action, before: Policy, after: Policy) -> Statement:
    attributes = action.attributes
    told = [
        *(f"{in_words(r.when, attributes)} {outcome_in_words(r.then)}" for r in action.rules),
        f"{_OTHERWISE} {outcome_in_words(action.default)}",
    ]
    outcomes = [*(rule.then for rule in action.rules), action.default]
    mode = action.mode or after.mode
    if mode is not Mode.ENFORCE:
        # Whatever it says, it lets everybody through.
        told.append(f"in mode {mode.value}")
        outcomes = [Effect.ALLOW]
    if before.unknown_action is Effect.ALLOW:
        ladder = before.ladder
        found = joined(direction_of_outcome(Effect.ALLOW, each, ladder) for each in outcomes)
        direction = found or Direction.DIFFERENT
    else:
        # It was denied, and nobody relied on it; what it lets through freely must be seen.
        is_open = Effect.ALLOW in outcomes
        direction = Direction.WEAKER if is_open else Direction.DIFFERENT
    return Statement(
        direction=direction,
        about=About.ACTION,
        name=action.name,
        part="action",
        text=f"{action.name}: new action: {'; '.join(told)}",
        after="; ".join(told),
    )


def _removed(action: Action, after: Policy) -> Statement:
    is_denied = after.unknown_action is Effect.DENY
    what = "denied" if is_denied else "allowed"
    return Statement(
        direction=Direction.STRICTER if is_denied else Direction.WEAKER,
        about=About.ACTION,
        name=action.name,
        part="action",
        text=f"{action.name}: no longer there, and so {what}",
        after=what,
    )


def _changed(was: Action, action: Action, before: Policy, after: Policy) -> Iterator[Statement]:
    ladder = after.ladder
    told = [
        *(
            _Told(each.where, each.rule, each.change)
            for each in changes_of_rules(was, action, ladder)
        ),
        *(
            _Told(_OTHERWISE if action.rules else "", None, change)
            for change in changes_of_outcome(was.default, action.default, ladder)
        ),
    ]
    shared = list(_of_shared(was.shared, action.shared, after))
    for each in told:
        # What all demands have in common is told once.
        if each.change not in shared:
            yield _statement(action.name, each)
    for change in (*shared, *_of_attributes(was, action), *_of_others(was, action, after)):
        yield _statement(action.name, _Told("", None, change))
    yield from _of_mode(was, action, before, after)


def _of_shared(
    was: Requirement | None, shared: Requirement | None, after: Policy
) -> Iterator[Change]:
    if was is not None and shared is not None:
        for change in changes_of_requirement(was, shared, after.ladder):
            # At the lowest level of its ladder by itself: that is told with the ladder.
            if change.part != "acr":
                yield change


def _of_attributes(was: Action, action: Action) -> Iterator[Change]:
    old = {attribute.name: attribute for attribute in was.attributes}
    new = {attribute.name: attribute for attribute in action.attributes}
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            said = value_in_words(new[name].type)
            yield Change(
                Direction.DIFFERENT, "attributes", f"new attribute {name}: {said}", None, said
            )
        elif name not in new:
            said = value_in_words(old[name].type)
            text = f"no attribute {name} any more"
            yield Change(Direction.DIFFERENT, "attributes", text, said, None)
        else:
            yield from _of_attribute(old[name], new[name])


def _of_attribute(old: Attribute, new: Attribute) -> Iterator[Change]:
    for field in Attribute.__struct_fields__:
        was, is_now = getattr(old, field), getattr(new, field)
        if was != is_now:
            said = value_in_words(was), value_in_words(is_now)
            direction = Direction.DIFFERENT
            if field == "required":
                direction = Direction.STRICTER if is_now else Direction.WEAKER
            text = f"attribute {new.name}: `{field}` is {said[1]} instead of {said[0]}"
            yield Change(direction, "attributes", text, *said)


def _of_others(was: Action, action: Action, after: Policy) -> Iterator[Change]:
    for field in Action.__struct_fields__:
        old, new = getattr(was, field), getattr(action, field)
        direction = direction_of_part(field, old, new, after.ladder)
        if field not in _HANDLED and direction is not None:
            said = value_in_words(old), value_in_words(new)
            yield Change(direction, field, f"`{field}` is {said[1]} instead of {said[0]}", *said)


def _of_mode(was: Action, action: Action, before: Policy, after: Policy) -> Iterator[Statement]:
    old, new = was.mode, action.mode
    if old is new:
        return
    effective = old or before.mode, new or after.mode
    direction = direction_of_part("mode", *effective, after.ladder) or Direction.DIFFERENT
    said = [str(mode) if mode else "the document's" for mode in (old, new)]
    change = Change(direction, "mode", f"the mode is {said[1]} instead of {said[0]}", *said)
    yield _statement(action.name, _Told("", None, change))


def _statement(name: ActionName, told: _Told) -> Statement:
    change = told.change
    where = f"{told.where} " if told.where else ""
    return Statement(
        direction=change.direction,
        about=About.ACTION,
        name=name,
        rule=told.rule,
        part=change.part,
        text=f"{name}: {where}{change.text}",
        before=change.before,
        after=change.after,
    )
