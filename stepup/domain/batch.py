"""Several evaluations in one request: how many, and which answer ends them (AuthZEN section 7)."""

from enum import StrEnum

from stepup.domain.errors import InvalidRequestError

MAX_EVALUATIONS = 200
"""A long list on a screen; whoever has more sends more than one request."""


class Semantic(StrEnum):
    """How far a batch is carried out (section 7.1.2.1)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends_with(self, *, permitted: bool) -> bool:
        """Say whether nothing is evaluated after such an answer; a failure counts as a denial."""
        match self:
            case Semantic.EXECUTE_ALL:
                return False
            case Semantic.DENY_ON_FIRST_DENY:
                return not permitted
            case Semantic.PERMIT_ON_FIRST_PERMIT:
                return permitted


def check_size(count: int) -> None:
    """Refuse more evaluations than one request may ask for.

    Raises:
        InvalidRequestError: If there are too many.
    """
    if count > MAX_EVALUATIONS:
        raise InvalidRequestError(
            f"One request holds at most {MAX_EVALUATIONS} evaluations, and this one {count}."
        )
