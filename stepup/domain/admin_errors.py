"""What can go wrong at the administrators' gate, and what is refused behind it."""

from stepup.domain.errors import StepUpError
from stepup.domain.ids import ActionName
from stepup.domain.requirement import Requirement


class NotAuthorizedError(StepUpError):
    """The administrator's token is missing or wrong."""

    code = "not_authorized"
    message = "A valid token is needed."


class TokenRefusedError(NotAuthorizedError):
    """The administrator's token or key is there, and good for nothing here."""

    message = "This token is not valid here."


class InsufficientScopeError(StepUpError):
    """Whoever it is is known, and may not do this (RFC 6750 section 3.1)."""

    code = "insufficient_scope"
    message = "The token gives no leave for that."

    def __init__(self, scope: str, detail: str | None = None) -> None:
        super().__init__(detail)
        self.scope = scope


class AdministratorProtectedError(StepUpError):
    """Nobody else gives an administrator a way to sign in: whoever did could approve in that name."""

    code = "administrator_protected"
    message = "This subject administers; it adds its ways to sign in by itself."


class InsufficientUserAuthenticationError(StepUpError):
    """The administrator's token is too weak, too old, or for something else (RFC 9470 section 3)."""

    code = "insufficient_user_authentication"
    message = "This needs another authentication."

    def __init__(
        self, action: ActionName, requirement: Requirement, detail: str | None = None
    ) -> None:
        super().__init__(detail)
        self.action = action
        self.requirement = requirement


class ApiKeyExistsError(StepUpError):
    """Two keys of one name could not be told apart in the log."""

    code = "api_key_exists"
    message = "There is a key of this name already."
