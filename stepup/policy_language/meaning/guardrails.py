"""What changed in the guardrails, and which actions that is about."""

from collections.abc import Iterator, Sequence

from stepup.domain.ids import ActionName
from stepup.domain.policy import Guardrail, Mode, Policy
from stepup.policy_language.meaning.order import direction_of_part
from stepup.policy_language.meaning.requirements import changes_of_requirement
from stepup.policy_language.meaning.statement import About, Change, Direction, Statement
from stepup.policy_language.meaning.words import outcome_in_words, value_in_words

_HANDLED = frozenset({"id", "require"})
# As many names as a reader takes in at once; all of them are in `touches`.
_NAMED = 5


def statements_of_guardrails(before: Policy, after: Policy) -> Iterator[Statement]:
    """Tell what changed in the guardrails, in the order of the newer document."""
    old = {guardrail.id: guardrail for guardrail in before.guardrails}
    new = {guardrail.id: guardrail for guardrail in after.guardrails}
    for name, guardrail in new.items():
        if name in old:
            yield from _changed(old[name], guardrail, before, after)
        else:
            yield _added(guardrail, after)
    for name, guardrail in old.items():
        if name not in new:
            yield _removed(guardrail, before)
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield Statement(
            direction=Direction.DIFFERENT,
            about=About.GUARDRAIL,
            part="order",
            text="the guardrails are in another order",
        )


def _added(guardrail: Guardrail, after: Policy) -> Statement:
    touched = _touched(guardrail, after)
    said = outcome_in_words(guardrail.require)
    mode = _mode(guardrail, after)
    is_felt = bool(touched) and mode is Mode.ENFORCE
    unfelt = "" if mode is Mode.ENFORCE else f", in mode {mode.value}"
    change = Change(
        Direction.STRICTER if is_felt else Direction.DIFFERENT,
        "guardrail",
        f"new guardrail for {_named(touched)}: at least {said}{unfelt}",
        None,
        said,
    )
    return _statement(guardrail, change, touched)


def _removed(guardrail: Guardrail, before: Policy) -> Statement:
    touched = _touched(guardrail, before)
    said = outcome_in_words(guardrail.require)
    is_felt = bool(touched) and _mode(guardrail, before) is Mode.ENFORCE
    change = Change(
        Direction.WEAKER if is_felt else Direction.DIFFERENT,
        "guardrail",
        f"no longer there: {_named(touched)} no longer at least {said}",
        said,
        None,
    )
    return _statement(guardrail, change, touched)


def _changed(
    was: Guardrail, guardrail: Guardrail, before: Policy, after: Policy
) -> Iterator[Statement]:
    touched = _touched(guardrail, after)
    for change in changes_of_requirement(was.require, guardrail.require, after.ladder):
        text = f"{change.text}, for {_named(touched)}"
        yield _statement(guardrail, change._replace(text=text), touched)
    for field in Guardrail.__struct_fields__:
        old, new = getattr(was, field), getattr(guardrail, field)
        direction = direction_of_part(field, old, new, after.ladder)
        if field == "mode" and direction is not None:
            modes = _mode(was, before), _mode(guardrail, after)
            direction = direction_of_part(field, *modes, after.ladder) or Direction.DIFFERENT
        if field not in _HANDLED and direction is not None:
            said = value_in_words(old), value_in_words(new)
            text = f"`{field}` is {said[1]} instead of {said[0]}"
            yield _statement(guardrail, Change(direction, field, text, *said), touched)
    yield from _other_actions(was, guardrail, before, after)


def _other_actions(
    was: Guardrail, guardrail: Guardrail, before: Policy, after: Policy
) -> Iterator[Statement]:
    # Actions that came or went are told by themselves.
    old = [name for name in _touched(was, before) if name in after.actions]
    new = [name for name in _touched(guardrail, after) if name in before.actions]
    lost = tuple(name for name in old if name not in new)
    gained = tuple(name for name in new if name not in old)
    if lost:
        text = f"no longer speaks about {_named(lost)}"
        yield _statement(guardrail, Change(Direction.WEAKER, "touches", text), lost)
    if gained:
        text = f"speaks about {_named(gained)} too"
        yield _statement(guardrail, Change(Direction.STRICTER, "touches", text), gained)


def _mode(guardrail: Guardrail, policy: Policy) -> Mode:
    return guardrail.mode or policy.mode


def _touched(guardrail: Guardrail, policy: Policy) -> tuple[ActionName, ...]:
    return tuple(name for name, action in policy.actions.items() if guardrail.matches(action))


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "no action") + more


def _statement(guardrail: Guardrail, change: Change, touched: tuple[ActionName, ...]) -> Statement:
    return Statement(
        direction=change.direction,
        about=About.GUARDRAIL,
        name=guardrail.id,
        part=change.part,
        text=f"guardrail {guardrail.id}: {change.text}",
        before=change.before,
        after=change.after,
        touches=touched,
    )
