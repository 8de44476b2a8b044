"""stepup.sdk: verify elevated tokens on the spot, and ask for them.

It stands alone: PyJWT and cryptography are all it needs, and it imports nothing else of stepup.
"""

from stepup.sdk.binding import bound_digest
from stepup.sdk.client import LEVELS, StepUp, bearer_token
from stepup.sdk.errors import (
    AlreadyConsumedError,
    BindingError,
    BodyTypeError,
    CallbackError,
    InvalidToken,
    MissingToken,
    SdkError,
    ServiceError,
    StepUpRequired,
    UnavailableError,
)
from stepup.sdk.flow import ActionRequest, Decision, Pending, Started
from stepup.sdk.pkce import Pkce, new_state
from stepup.sdk.requirement import Requirement
from stepup.sdk.statuses import StatusCheck
from stepup.sdk.tokens import VerifiedToken

__all__ = [
    "LEVELS",
    "ActionRequest",
    "AlreadyConsumedError",
    "BindingError",
    "BodyTypeError",
    "CallbackError",
    "Decision",
    "InvalidToken",
    "MissingToken",
    "Pending",
    "Pkce",
    "Requirement",
    "SdkError",
    "ServiceError",
    "Started",
    "StatusCheck",
    "StepUp",
    "StepUpRequired",
    "UnavailableError",
    "VerifiedToken",
    "bearer_token",
    "bound_digest",
    "new_state",
]
