"""A whole document, and the guardrails in it."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stepup.domain.policy import Effect, Mode
from stepup.policy_language.shape.actions import ACTION_NAME, NEEDS_NAME, Action
from stepup.policy_language.shape.entities import Entities
from stepup.policy_language.shape.examples import API_VERSION
from stepup.policy_language.shape.levels import MAX_LEVELS, Level
from stepup.policy_language.shape.parts import Shape, Words, said
from stepup.policy_language.shape.requirements import Floor

# Above what people can oversee; the checks that compare everything with everything stay quick.
MAX_ACTIONS, MAX_GUARDRAILS = 5000, 200
# Longer than any name that they could fit.
MAX_PATTERN, MAX_PATTERNS = 256, 100


class Match(Shape, kw_only=True):
    """Which actions a guardrail stands above: those that one of its words fits."""

    tags: Annotated[Words | UnsetType, said("actions with one of these tags")] = UNSET
    actions: Annotated[
        Words | UnsetType,
        said(
            "actions whose name fits one of these patterns (`*`, `?`, `[...]`)",
            at_most=MAX_PATTERNS,
        ),
    ] = UNSET


class Guardrail(Shape, kw_only=True):
    """A floor above actions; it can only raise."""

    id: Annotated[
        str | UnsetType, said("its name; needed in a list, given by the key in a mapping")
    ] = UNSET
    match: Annotated[
        Match,
        said(
            "the actions it stands above",
            anyOf=[{"required": ["tags"]}, {"required": ["actions"]}],
        ),
    ]
    require: Annotated[Floor, said("what holds there at least")]
    mode: Annotated[
        Mode | UnsetType,
        said("whether it is enforced; see [modes](policy.md#modes); the document's when left out"),
    ] = UNSET


class Document(Shape, kw_only=True):
    """A policy: which authentication each action needs."""

    api_version: Annotated[str, said("the version of the language", const=API_VERSION)] = (
        msgspec.field(name="apiVersion")
    )
    metadata: Annotated[Any, said("names and notes for people; nothing depends on it")] = UNSET
    levels: Annotated[
        dict[str, Level]
        | list[Annotated[Level, Meta(extra_json_schema={"required": ["acr"]})]]
        | UnsetType,
        said(
            "the ladder, weakest first; the default ladder when left out",
            at_most=MAX_LEVELS,
            minItems=1,
            minProperties=1,
        ),
    ] = UNSET
    actions: Annotated[
        dict[Annotated[str, Meta(pattern=ACTION_NAME)], Action]
        | list[Annotated[Action, Meta(extra_json_schema=NEEDS_NAME)]]
        | UnsetType,
        said("the actions, by name or as a list", at_most=MAX_ACTIONS),
    ] = UNSET
    guardrails: Annotated[
        dict[str, Guardrail]
        | list[Annotated[Guardrail, Meta(extra_json_schema={"required": ["id"]})]]
        | UnsetType,
        said("the floors above the actions, by name or as a list", at_most=MAX_GUARDRAILS),
    ] = UNSET
    entities: Annotated[
        Entities | UnsetType,
        said("the subjects and resources it knows; see [entities](policy.md#entities)"),
    ] = UNSET
    unknown_action: Annotated[
        Effect | UnsetType,
        said("what happens to an action that no document names; `deny` when left out"),
    ] = UNSET
    mode: Annotated[
        Mode | UnsetType,
        said("for actions and guardrails that say none; `enforce` when left out"),
    ] = UNSET
