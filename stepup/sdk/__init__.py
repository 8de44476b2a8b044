"""stepup.sdk: verify elevated tokens on the spot, and ask for them.

It stands alone: PyJWT and cryptography are all it needs, and it imports nothing else of stepup.
"""

from stepup.sdk.binding import bound_digest
from stepup.sdk.client import LEVELS, StepUp, bearer_token
from stepup.sdk.dpop import MemoryReplays, ReplayCache
from stepup.sdk.errors import (
    AlreadyConsumedError,
    BindingError,
    BodyTypeError,
    CallbackError,
    InvalidProof,
    InvalidToken,
    MissingToken,
    SdkError,
    ServiceError,
    StepUpRequired,
    UnavailableError,
    UseDpopNonce,
)
from stepup.sdk.flow import ActionRequest, Decision, Pending, Started
from stepup.sdk.pkce import Pkce, new_state
from stepup.sdk.possession import Confirmation, Shown
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
    "Confirmation",
    "Decision",
    "InvalidProof",
    "InvalidToken",
    "MemoryReplays",
    "MissingToken",
    "Pending",
    "Pkce",
    "ReplayCache",
    "Requirement",
    "SdkError",
    "ServiceError",
    "Shown",
    "Started",
    "StatusCheck",
    "StepUp",
    "StepUpRequired",
    "UnavailableError",
    "UseDpopNonce",
    "VerifiedToken",
    "bearer_token",
    "bound_digest",
    "new_state",
]
