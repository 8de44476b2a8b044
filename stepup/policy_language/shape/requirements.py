"""What a rule, a default or a guardrail asks for."""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, UnsetType

from stepup.domain.assurance import Method
from stepup.domain.requirement import OnDegraded, OnUnenrolled
from stepup.policy_language.shape.parts import Shape, Span, Words, said


class Preset(StrEnum):
    """Names for ages that most policies want (UX AD-14)."""

    ALWAYS = "always"
    STRICT = "strict"
    MODERATE = "moderate"
    RELAXED = "relaxed"


class GuardrailUnenrolled(StrEnum):
    """What a guardrail may say of subjects with no suitable authenticator; it has no fallback."""

    DENY = "deny"
    ENROLL = "enroll"


class Fallback(Shape, kw_only=True):
    """What is asked instead of a subject that has no authenticator for what is asked."""

    level: Annotated[str, said("the level to reach")]
    max_age: Annotated[
        Span | UnsetType,
        said("how old the authentication may be; the level's `max_age` when left out"),
    ] = UNSET
    preset: Annotated[Preset | UnsetType, said("an age by name")] = UNSET
    methods: Annotated[
        Method | list[Method] | UnsetType,
        said("only these methods; all that reach the level when left out", minItems=1),
    ] = UNSET
    min_credential_age: Annotated[
        Span | UnsetType, said("an authenticator enrolled less than this ago does not count")
    ] = UNSET


class Floor(Shape, kw_only=True):
    """What a guardrail asks for: a requirement that may leave out the level."""

    level: Annotated[
        str | UnsetType, said("the level to reach; no level is raised when left out")
    ] = UNSET
    max_age: Annotated[
        Span | UnsetType,
        said("how old the authentication may be; the level's `max_age` when left out"),
    ] = UNSET
    preset: Annotated[
        Preset | UnsetType,
        said(
            "an age by name: `always` (0s), `strict` (10m), `moderate` (60m), `relaxed` (24h)",
        ),
    ] = UNSET
    methods: Annotated[
        Method | list[Method] | UnsetType,
        said("only these methods; all that reach the level when left out", minItems=1),
    ] = UNSET
    once: Annotated[
        bool | UnsetType,
        said(
            "the token is good for one use; the service that acts on it consumes it, and an AuthZEN "
            "decision that rests on it says so with a `consume` obligation"
        ),
    ] = UNSET
    bind: Annotated[
        Words | UnsetType,
        said("attributes that the approval is made for, in addition to the action's"),
    ] = UNSET
    display: Annotated[
        Words | UnsetType,
        said("attributes that the subject sees, instead of the action's"),
    ] = UNSET
    token_ttl: Annotated[
        Span | UnsetType, said("how long the token lives, at most 600s, instead of the action's")
    ] = UNSET
    audience: Annotated[str | UnsetType, said("whom the token is for, instead of the action's")] = (
        UNSET
    )
    on_unenrolled: Annotated[
        GuardrailUnenrolled | UnsetType,
        said("what happens to a subject with no suitable authenticator"),
    ] = UNSET
    min_credential_age: Annotated[
        Span | UnsetType,
        said(
            "an authenticator enrolled less than this ago does not count: `24h` keeps out whoever "
            "has just added one"
        ),
    ] = UNSET
    on_degraded: Annotated[
        OnDegraded | UnsetType,
        said(
            "what happens [while a dependency is away](policy.md#while-a-dependency-is-away); "
            "`serve` when left out"
        ),
    ] = UNSET


class Requirement(Floor, kw_only=True):
    """What a rule or a default asks for."""

    level: Annotated[str, said("the level to reach")]
    on_unenrolled: Annotated[
        OnUnenrolled | UnsetType,
        said("what happens to a subject with no suitable authenticator, instead of the action's"),
    ] = UNSET  # type: ignore[assignment]  # a guardrail alone has nothing to fall back to
    fallback: Annotated[
        Fallback | UnsetType, said("what `on_unenrolled: fallback` asks, instead of the action's")
    ] = UNSET
