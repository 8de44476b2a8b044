"""Actions: their attributes, rules and default."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stepup.domain.decision_request import AttributeType, Entity
from stepup.domain.policy import Effect, Mode
from stepup.domain.requirement import OnDegraded, OnUnenrolled
from stepup.policy_language.shape.examples import MAX_TESTS, Test
from stepup.policy_language.shape.parts import Identifier, Shape, Span, Texts, Words, said
from stepup.policy_language.shape.requirements import Fallback, Requirement

MAX_RULES, MAX_ATTRIBUTES, MAX_SCALE = 200, 100, 9
ACTION_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
NEEDS_NAME: dict[str, object] = {"required": ["name"]}
_OUTCOMES = ("require", "allow", "deny")


class Attribute(Shape, kw_only=True):
    """Something that a request may say."""

    name: Annotated[
        str | UnsetType,
        said("its name; needed in a list, given by the key in a mapping"),
    ] = UNSET
    type: Annotated[AttributeType, said("its type; see [attributes](policy.md#attributes)")]
    entity: Annotated[
        Entity | UnsetType,
        said("the entity of the request that it comes with; `action` when left out"),
    ] = msgspec.field(name="in", default=UNSET)
    required: Annotated[bool | UnsetType, said("without it the strongest requirement applies")] = (
        UNSET
    )
    default: Annotated[Any, said("the value that conditions see when none was sent")] = UNSET
    enum: Annotated[Words | UnsetType, said("the values allowed, for `string` and `list`")] = UNSET
    scale: Annotated[
        int | UnsetType,
        said("decimal places of a `decimal`; 2 when left out", minimum=0, maximum=MAX_SCALE),
    ] = UNSET
    sensitive: Annotated[bool | UnsetType, said("recorded as a digest only")] = UNSET


class Rule(Shape, kw_only=True):
    """One rule of an action; it says exactly one of `require`, `allow` and `deny`."""

    id: Annotated[Identifier, said("its name, unique in the action")]
    when: Annotated[
        str | UnsetType, said("the condition, in CEL; it always applies when left out")
    ] = UNSET
    require: Annotated[Requirement | UnsetType, said("what must be proved")] = UNSET
    allow: Annotated[bool | UnsetType, said("`true`: nothing is asked", const=True)] = UNSET
    deny: Annotated[
        Annotated[str, Meta(min_length=1)] | bool | UnsetType,
        said("the reason, or `true`: no authentication helps", **{"not": {"const": False}}),
    ] = UNSET


class Token(Shape, kw_only=True):
    """The tokens that an approval of the action makes."""

    ttl: Annotated[
        Span | UnsetType, said("how long it lives, at most 600s; 120s when left out")
    ] = UNSET
    once: Annotated[bool | UnsetType, said("it is good for one use")] = UNSET
    audience: Annotated[str | UnsetType, said("whom it is for")] = UNSET


_Rules = list[
    Annotated[Rule, Meta(extra_json_schema={"oneOf": [{"required": [name]} for name in _OUTCOMES]})]
]


class Action(Shape, kw_only=True):
    """Something that a subject wants to do."""

    name: Annotated[
        str | UnsetType,
        said(
            "its name; needed in a list, given by the key in a mapping",
            pattern=ACTION_NAME,
        ),
    ] = UNSET
    title: Annotated[
        Texts | UnsetType,
        said(
            'what the subject reads ("to **send a payment**"): a text (English), or one for each '
            "language tag"
        ),
    ] = UNSET
    description: Annotated[Texts | UnsetType, said("the same for administrators")] = UNSET
    tags: Annotated[Words | UnsetType, said("words that guardrails match")] = UNSET
    attributes: Annotated[
        dict[str, Attribute]
        | list[Annotated[Attribute, Meta(extra_json_schema=NEEDS_NAME)]]
        | UnsetType,
        said("what a request may say", at_most=MAX_ATTRIBUTES),
    ] = UNSET
    rules: Annotated[
        _Rules | UnsetType,
        said("tried in order, the first that matches wins", at_most=MAX_RULES),
    ] = UNSET
    default: Annotated[
        Effect | Requirement | UnsetType,
        said("what holds when no rule matches; denied (with a warning) when left out"),
    ] = UNSET
    bind: Annotated[
        Words | UnsetType,
        said("attributes that an approval is made for: another value needs another approval"),
    ] = UNSET
    display: Annotated[
        Words | UnsetType,
        said("attributes that the subject sees before approving; `bind` when left out"),
    ] = UNSET
    token: Annotated[Token | UnsetType, said("the tokens of its approvals")] = UNSET
    on_unenrolled: Annotated[
        OnUnenrolled | UnsetType,
        said("what happens to a subject with no suitable authenticator; `deny` when left out"),
    ] = UNSET
    fallback: Annotated[Fallback | UnsetType, said("what `on_unenrolled: fallback` asks")] = UNSET
    on_degraded: Annotated[
        OnDegraded | UnsetType,
        said(
            "what happens [while a dependency is away](policy.md#while-a-dependency-is-away); "
            "`serve` when left out"
        ),
    ] = UNSET
    mode: Annotated[
        Mode | UnsetType,
        said("whether its rules are enforced; see [modes](policy.md#modes); the document's"),
    ] = UNSET
    critical: Annotated[
        bool | UnsetType,
        said(
            "`true`: no instance vouches for its tokens once it may have missed a "
            "[revocation](reliability.md#revocation); what is `once` is critical anyway"
        ),
    ] = UNSET
    tests: Annotated[
        list[Test] | UnsetType,
        said("examples that must come out as they say", at_most=MAX_TESTS),
    ] = UNSET
