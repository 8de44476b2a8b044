"""The tests of an action, and the suites that stand in files of their own."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from stepup.domain.assurance import Method
from stepup.policy_language.shape.parts import Shape, Span, Words, said

MAX_TESTS = 500
API_VERSION = "stepup/v1"


class Expected(StrEnum):
    """The three decisions."""

    ALLOW = "allow"
    STEP_UP = "step_up"
    DENY = "deny"


class Party(Shape, kw_only=True):
    """The subject or the resource of a test's request, as in AuthZEN."""

    type: Annotated[str | UnsetType, said("`user` or `resource` when left out")] = UNSET
    id: Annotated[str | UnsetType, said("`alice` or `example` when left out")] = UNSET
    properties: Annotated[dict[str, Any] | UnsetType, said("its attributes")] = UNSET


class Properties(Shape, kw_only=True):
    """The action of a test's request, as in AuthZEN."""

    properties: Annotated[dict[str, Any] | UnsetType, said("its attributes")] = UNSET


class Request(Shape, kw_only=True):
    """What a test asks about."""

    attributes: Annotated[
        dict[str, Any] | UnsetType, said("attributes by name; each goes where it is declared")
    ] = UNSET
    subject: Annotated[Party | UnsetType, said("who wants to act")] = UNSET
    resource: Annotated[Party | UnsetType, said("what is acted on")] = UNSET
    action: Annotated[Properties | UnsetType, said("attributes of the action")] = UNSET
    context: Annotated[dict[str, Any] | UnsetType, said("attributes of the context")] = UNSET


class Auth(Shape, kw_only=True):
    """The authentication at hand in a test."""

    acr: Annotated[str, said("the level that it reached")]
    age: Annotated[Span | UnsetType, said("how long ago it was; 0s when left out")] = UNSET
    amr: Annotated[Words | UnsetType, said("the methods that it used")] = UNSET
    credential_age: Annotated[
        Span | UnsetType,
        said(
            "no authenticator that it used was younger, as far as anybody looked; 0s when left out"
        ),
    ] = UNSET
    for_this: Annotated[
        bool | UnsetType,
        said("`true`: its token was made for this very action and these values"),
    ] = UNSET


class Test(Shape, kw_only=True):
    """A request with the decision that it must get."""

    # No class of tests, whatever its name makes a collector believe.
    __test__ = False

    name: Annotated[str, said("a sentence")]
    request: Annotated[Request | UnsetType, said("what is asked")] = UNSET
    auth: Annotated[Auth | UnsetType, said("the authentication at hand; none when left out")] = (
        UNSET
    )
    now: Annotated[
        str | UnsetType,
        said("the time, as a timestamp with an offset; otherwise 14 January 2026, 12:00 UTC"),
    ] = UNSET
    expect: Annotated[Expected, said("the decision")]
    rule: Annotated[
        str | UnsetType, said("the rule that must have decided; `default` for none")
    ] = UNSET
    acr: Annotated[str | UnsetType, said("the level that a step-up must ask for")] = UNSET
    max_age: Annotated[Span | UnsetType, said("the age that a step-up must ask for")] = UNSET
    methods: Annotated[
        Method | list[Method] | UnsetType, said("the methods that a step-up must ask for")
    ] = UNSET


class Suite(Shape, kw_only=True):
    """A file of tests beside the files of a policy: `*_test.yaml`."""

    api_version: Annotated[str, said("the version of the language", const=API_VERSION)] = (
        msgspec.field(name="apiVersion")
    )
    tests: Annotated[
        dict[str, Annotated[list[Test], said("tests", at_most=MAX_TESTS)]],
        said("tests by the name of their action"),
    ]
