"""Everything that can go wrong in the domain's own words; none of it knows HTTP.

Each class has a stable code, which callers may depend on. `http/problems.py` gives each a status.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from stepup.domain.ids import ActionName, AuthenticatorId, ChallengeId
from stepup.domain.requirement import Requirement


class StepUpError(Exception):
    """A broken precondition, with a stable code."""

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "The request cannot be done."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.message)
        self.detail = detail or self.message

    @property
    def facts(self) -> Mapping[str, object]:
        """How things stand, where whoever tries again should know."""
        return {}


class InvalidRequestError(StepUpError):
    """The request does not say what it must, or says it wrongly."""

    code = "invalid_request"
    message = "The request is malformed."


class InvalidAuthorizationDetailsError(StepUpError):
    """What is to be authorized is of an unknown type, or not said as its type wants (RFC 9396)."""

    code = "invalid_authorization_details"
    message = "The authorization_details are not valid."


class UnsupportedResponseTypeError(StepUpError):
    """Only the authorization code flow exists (RFC 9700 section 2.1.2)."""

    code = "unsupported_response_type"
    message = "The only supported response_type is code."


class UnsupportedTokenTypeError(StepUpError):
    """Nobody can revoke this kind of token (RFC 7009 section 2.2.1)."""

    code = "unsupported_token_type"
    message = "An ID token cannot be revoked; the access token that came with it can."


class UnsupportedGrantTypeError(StepUpError):
    """The token endpoint does not know the grant."""

    code = "unsupported_grant_type"
    message = "The only supported grant_type is authorization_code."


class InvalidScopeError(StepUpError):
    """The scope has characters that RFC 6749 section 3.3 does not allow."""

    code = "invalid_scope"
    message = "The scope is malformed."


class InvalidTicketError(StepUpError):
    """The ticket was changed, has expired, or was made for somebody else."""

    code = "invalid_ticket"
    message = "The ticket is not valid."


class InvalidSubjectTokenError(StepUpError):
    """The base identity cannot be proved by what was sent."""

    code = "invalid_subject_token"
    message = "The subject token is not valid."


class InvalidTargetError(StepUpError):
    """The token has no audience, or one that the client may not ask for (RFC 8707)."""

    code = "invalid_target"
    message = "The audience is missing or not allowed for this client."


class ClientAuthenticationError(StepUpError):
    """The caller could not be authenticated; nothing says whether it exists."""

    code = "invalid_client"
    message = "Client authentication failed."


class ClientNotAllowedError(StepUpError):
    """The client is known, but may not do this."""

    code = "unauthorized_client"
    message = "This client may not do that."


class ActionDeniedError(StepUpError):
    """The policy denies the action, whatever the authentication."""

    code = "action_denied"
    message = "The policy denies this action."


class UnmetRequirementError(StepUpError):
    """No authenticator of the subject can reach the level that is asked for."""

    code = "unmet_authentication_requirements"
    message = "No authenticator of this subject reaches the required level."


class ChallengeNotFoundError(StepUpError):
    """There is no such challenge, or it has expired."""

    code = "challenge_not_found"
    message = "This challenge does not exist or has expired."


class ChallengeNotPendingError(StepUpError):
    """The challenge was answered, cancelled or denied before."""

    code = "challenge_not_pending"
    message = "This challenge is not open any more."


class WrongBrowserError(StepUpError):
    """The challenge was opened in another browser, and stays there."""

    code = "wrong_browser"
    message = "This challenge was started in another browser."


class MethodNotUsableError(StepUpError):
    """The method cannot answer this challenge."""

    code = "method_not_usable"
    message = "This method cannot be used here."


class VerificationFailedError(StepUpError):
    """The answer is wrong, was used before, or belongs to something else."""

    code = "verification_failed"
    message = "The answer is not right."

    def __init__(self, detail: str | None = None, tries_left: int | None = None) -> None:
        super().__init__(detail)
        self.tries_left = tries_left


class WrongClockError(VerificationFailedError):
    """The code was right, but for another time: the app's clock is wrong."""


class CodeTooEarlyError(VerificationFailedError):
    """The code is right, but may have been used before the service lost data; a later one counts."""

    code = "code_too_early"
    message = "Codes of this moment do not count; wait for a later one."

    def __init__(self, retry_after: timedelta, tries_left: int | None = None) -> None:
        super().__init__(tries_left=tries_left)
        self.retry_after = retry_after


class SignCountRegressedError(VerificationFailedError):
    """The signature holds but the counter went back: somebody may have cloned the key."""

    def __init__(self, authenticator_id: AuthenticatorId, detail: str | None = None) -> None:
        super().__init__(detail)
        self.authenticator_id = authenticator_id


class CeremonyExpiredError(StepUpError):
    """The WebAuthn challenge was used or has expired; a new ceremony is needed."""

    code = "ceremony_expired"
    message = "This passkey request was used or has expired."


class TooManyAttemptsError(StepUpError):
    """The method is paused for this subject."""

    code = "too_many_attempts"
    message = "Too many attempts; this method is paused."

    def __init__(self, retry_after: timedelta, detail: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class InvalidGrantError(StepUpError):
    """The code or refresh token is unknown, used, expired, or of another client or verifier."""

    code = "invalid_grant"
    message = "The code or refresh token is not valid."


class CodeReplayedError(InvalidGrantError):
    """The code was redeemed before (RFC 6749 section 4.1.2)."""

    message = "The code was redeemed before; what it gave is revoked."


class RefreshReplayedError(InvalidGrantError):
    """Another attempt has used this refresh token; all that its ceremony gave is revoked by now."""


class TokenAlreadyConsumedError(StepUpError):
    """A once-only token was used up before."""

    code = "token_already_consumed"
    message = "This token was used before."

    def __init__(self, consumed_at: datetime, detail: str | None = None) -> None:
        super().__init__(detail)
        self.consumed_at = consumed_at


class TokenNotConsumableError(StepUpError):
    """The token is not valid, not once-only, or made for something else."""

    code = "token_not_consumable"
    message = "This token cannot be consumed."


class AuthenticatorNotFoundError(StepUpError):
    """The subject has no such authenticator."""

    code = "authenticator_not_found"
    message = "There is no such authenticator."


class AuthenticatorExistsError(StepUpError):
    """The credential belongs to somebody already, perhaps to this subject."""

    code = "authenticator_exists"
    message = "This authenticator is already enrolled."


class LastAuthenticatorError(StepUpError):
    """Removing it would leave the subject with nothing that reaches what a policy asks."""

    code = "last_authenticator"
    message = "This is the last authenticator that reaches a required level."


class EnrollmentNotFoundError(StepUpError):
    """The enrollment was finished before, or has expired."""

    code = "enrollment_not_found"
    message = "This enrollment was finished or has expired."


class StepUpRequiredError(StepUpError):
    """The subject must pass a challenge before doing this."""

    code = "step_up_required"
    message = "A stronger authentication is needed."

    def __init__(self, action: ActionName, requirement: Requirement) -> None:
        super().__init__()
        self.action = action
        self.requirement = requirement


class SessionNotFoundError(StepUpError):
    """Nobody is signed in to the account pages with this cookie."""

    code = "session_not_found"
    message = "You are not signed in."


class PolicyInvalidError(StepUpError):
    """The policy document has findings that forbid its use."""

    code = "policy_invalid"
    message = "The policy document has errors."

    def __init__(self, detail: str | None = None, findings: tuple[object, ...] = ()) -> None:
        super().__init__(detail)
        self.findings = findings


class PolicyNotFoundError(StepUpError):
    """No policy has been activated yet."""

    code = "policy_not_found"
    message = "No policy has been activated yet."


class DecisionNotFoundError(StepUpError):
    """There is no record of such a decision: it was left out of the sample, or its time is over."""

    code = "decision_not_found"
    message = "There is no recorded decision of this name."


class DecisionDigestedError(StepUpError):
    """Of a sensitive attribute the record holds a digest, into which no condition can look."""

    code = "decision_digested"
    message = (
        "The record holds digests of sensitive attributes; explain a request with their values."
    )


class TookTooLongError(StepUpError):
    """Trying a document out took longer than it may; what was asked for is too much."""

    code = "took_too_long"
    message = "Trying this out takes too long; make the document or the request smaller."


class NotSupportedYetError(StepUpError):
    """What was asked for is specified, but not built."""

    code = "not_supported_yet"
    message = "This is not supported yet."


class BodyTooLargeError(StepUpError):
    """The request body is larger than this endpoint reads."""

    code = "body_too_large"
    message = "The request body is too large."


class OutcomeUnknownError(StepUpError):
    """A spend was sent and nobody knows what became of it; the same attempt may be repeated."""

    code = "outcome_unknown"
    message = "The outcome is not known yet; repeat the same request."


class RedemptionUnknownError(OutcomeUnknownError):
    """Nobody knows whether the attempt has redeemed the code; nothing was granted for it."""

    def __init__(self, challenge_id: ChallengeId) -> None:
        super().__init__()
        self.challenge_id = challenge_id


class RefreshUnknownError(OutcomeUnknownError):
    """Nobody knows whether this attempt has used the token of a count, and no row says so."""

    def __init__(self, challenge_id: ChallengeId, count: int) -> None:
        super().__init__()
        self.challenge_id = challenge_id
        self.count = count


class DependencyUnavailableError(StepUpError):
    """A store does not answer; nothing was granted."""

    code = "dependency_unavailable"
    message = "The service cannot answer at the moment; try again shortly."


class NewerFormatError(StepUpError):
    """A newer release wrote this, and an older one must not guess: 503, never a refusal."""

    code = "newer_format"
    message = "This state was written by a newer release; try again shortly."
