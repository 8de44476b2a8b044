"""One statement about a change, and whether it makes things weaker, stricter or different."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stepup.domain.ids import ActionName


class Direction(StrEnum):
    """What a change does to what is asked; in the order in which an approver wants to see it."""

    WEAKER = "weaker"
    DIFFERENT = "different"
    STRICTER = "stricter"


class About(StrEnum):
    """What in a document a statement is about."""

    DOCUMENT = "document"
    LEVEL = "level"
    GUARDRAIL = "guardrail"
    ACTION = "action"
    ENTITY = "entity"


class Change(NamedTuple):
    """A change of one part, told without saying of what."""

    direction: Direction
    part: str
    text: str
    before: str | None = None
    after: str | None = None


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of one part, in words and as data.

    `name` is the action's, the guardrail's or the level's; `rule` the rule's, if it is about one.
    `touches` are the actions that a change of a guardrail or a level is about.
    """

    direction: Direction
    about: About
    name: str | None = None
    rule: str | None = None
    part: str
    text: str
    before: str | None = None
    after: str | None = None
    touches: tuple[ActionName, ...] = ()


def joined(directions: Iterable[Direction | None]) -> Direction | None:
    """Say what several changes do together; None when there are none.

    Weaker for some is weaker: what is stricter for others does not make up for it.
    """
    found = {direction for direction in directions if direction is not None}
    if not found:
        return None
    if Direction.WEAKER in found:
        return Direction.WEAKER
    return Direction.STRICTER if found == {Direction.STRICTER} else Direction.DIFFERENT
