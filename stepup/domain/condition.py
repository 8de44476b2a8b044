"""What a condition and its inputs promise, whichever language they are written in."""

from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.assurance import AuthnContext
from stepup.domain.decision_request import DecisionRequest


class EvaluationError(msgspec.Struct, frozen=True):
    """Why a condition has no answer; `wrong` are the attributes that are not of their types."""

    reason: str
    wrong: frozenset[str] = frozenset()


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
