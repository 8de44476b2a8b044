"""What a condition and its inputs promise, whichever language they are written in."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from stepup.domain.assurance import AuthnContext
from stepup.domain.binding import Value
from stepup.domain.decision_request import AttributeType, DecisionRequest


class Source(StrEnum):
    """Where the value of an attribute comes from."""

    SENT = "sent"
    DEFAULT = "default"
    ABSENT = "absent"
    GIVEN = "given"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute as conditions see it, for somebody who wants to know why.

    `value` is what conditions compare and `sent` what it was made of; neither is there when the
    attribute is `sensitive`. `error` says why the value cannot be read.
    """

    path: str
    type: AttributeType
    source: Source
    value: Value = None
    sent: Value = None
    sensitive: bool = False
    error: str | None = None


class EvaluationError(msgspec.Struct, frozen=True):
    """Why a condition has no answer; `wrong` are the attributes that are not of their types."""

    reason: str
    wrong: frozenset[str] = frozenset()


class Part(msgspec.Struct, frozen=True):
    """A part of a condition that is true or false by itself, as it is written there."""

    source: str
    value: bool | EvaluationError


class Inputs(Protocol):
    """A request's attributes, checked against an action's declaration and ready for conditions."""


class AttributeSchema(Protocol):
    """The declared attributes of an action, compiled."""

    def read(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> Inputs | EvaluationError:
        """Check the request's attributes; an error when one is missing or of the wrong type.

        The error names every attribute whose value is wrong, not only the first one.
        """
        ...

    def readings(
        self,
        request: DecisionRequest,  # noqa: ARG002  a schema without attributes has nothing to say
        context: AuthnContext | None,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> tuple[Reading, ...]:
        """Say what became of each attribute, also when `read` refuses. Nothing decides by it."""
        return ()


class Condition(Protocol):
    """A compiled `when`.

    Of two conditions with one `source` over the same attributes both say the same. `reads` are the
    attributes whose values it looks at, as `resource.iban`; `asks` those it asks to be there.
    """

    source: str = ""
    reads: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()

    def holds(self, inputs: Inputs) -> bool | EvaluationError:
        """Evaluate on checked inputs; an error is a value, so that nobody forgets it."""
        ...

    def parts(self, inputs: Inputs) -> tuple[Part, ...]:  # noqa: ARG002  one without parts
        """Evaluate the parts that it is made of; none when it is all one. Nothing decides by it."""
        return ()
