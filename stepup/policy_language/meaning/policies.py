"""What a change of the whole document means; weaker statements come first."""

from collections.abc import Iterator

from stepup.domain.policy import Effect, Policy
from stepup.policy_language.meaning.actions import statements_of_actions
from stepup.policy_language.meaning.entities import statements_of_entities
from stepup.policy_language.meaning.guardrails import statements_of_guardrails
from stepup.policy_language.meaning.levels import statements_of_levels
from stepup.policy_language.meaning.order import direction_of_part
from stepup.policy_language.meaning.statement import About, Direction, Statement
from stepup.policy_language.meaning.words import outcome_in_words, value_in_words

# Told part by part, or worked out of the rest.
_HANDLED = frozenset(
    {
        "version",
        "ladder",
        "actions",
        "guardrails",
        "unknown_action",
        "catalog",
        "directory",
        "plans",
    }
)


def differences(before: Policy, after: Policy) -> tuple[Statement, ...]:
    """Say what changes when one policy takes the place of another: nothing for the same document.

    Metadata, tests and comments change nothing. Weaker comes first, stricter last, and within
    each the order is that of the document.
    """
    told = [
        *_of_document(before, after),
        *statements_of_levels(before, after),
        *statements_of_guardrails(before, after),
        *statements_of_actions(before, after),
        *statements_of_entities(before, after),
    ]
    order = list(Direction)
    return tuple(sorted(told, key=lambda statement: order.index(statement.direction)))


def _of_document(before: Policy, after: Policy) -> Iterator[Statement]:
    if before.unknown_action is not after.unknown_action:
        said = outcome_in_words(before.unknown_action), outcome_in_words(after.unknown_action)
        is_open = after.unknown_action is Effect.ALLOW
        yield Statement(
            direction=Direction.WEAKER if is_open else Direction.STRICTER,
            about=About.DOCUMENT,
            part="unknown_action",
            text=f"an action that no document names is {said[1]} instead of {said[0]}",
            before=said[0],
            after=said[1],
        )
    # What came and what went is told with the actions.
    stayed = [name for name in before.catalog if name in after.actions]
    is_now = [name for name in after.catalog if name in before.actions]
    if stayed != is_now:
        was, catalog = value_in_words(stayed), value_in_words(is_now)
        yield Statement(
            direction=Direction.DIFFERENT,
            about=About.DOCUMENT,
            part="catalog",
            text=f"searches find the actions {catalog}, instead of {was}",
            before=was,
            after=catalog,
        )
    for field in Policy.__struct_fields__:
        old, new = getattr(before, field), getattr(after, field)
        direction = direction_of_part(field, old, new, after.ladder)
        if field not in _HANDLED and direction is not None:
            said = value_in_words(old), value_in_words(new)
            yield Statement(
                direction=direction,
                about=About.DOCUMENT,
                part=field,
                text=f"the document's `{field}` is {said[1]} instead of {said[0]}",
                before=said[0],
                after=said[1],
            )
