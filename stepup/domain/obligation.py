"""What a caller must do with a decision before it holds (AuthZEN obligations profile)."""

from enum import StrEnum


class ObligationType(StrEnum):
    """Every kind of obligation that we issue, and therefore advertise."""

    STEP_UP = "step-up"
    """The subject authenticates again, as strongly as is said."""
    CONSUME = "consume"
    """The once-only token is used up first. Not registered: the profile has no word for it."""
