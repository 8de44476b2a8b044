"""The one table from errors to HTTP: every cause has a status, a stable code, and an OAuth name.

What an error looks like on the wire is `error_forms.py`'s business. Anything unknown becomes a
500 that says nothing.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from stepup.domain import (
    admin_errors,
    authorization_errors,
    client_errors,
    errors,
    policy_errors,
    proof_errors,
    signal_errors,
    status_errors,
)
from stepup.domain.errors import StepUpError
from stepup.http.middleware import ClientGoneError
from stepup.http.token_challenge import token_challenge, what_is_needed

STATUS: Mapping[type[StepUpError], HTTPStatus] = {
    errors.InvalidRequestError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedResponseTypeError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedGrantTypeError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedTokenTypeError: HTTPStatus.BAD_REQUEST,
    errors.InvalidScopeError: HTTPStatus.BAD_REQUEST,
    errors.InvalidTicketError: HTTPStatus.BAD_REQUEST,
    errors.InvalidSubjectTokenError: HTTPStatus.BAD_REQUEST,
    errors.InvalidTargetError: HTTPStatus.BAD_REQUEST,
    errors.InvalidAuthorizationDetailsError: HTTPStatus.BAD_REQUEST,
    errors.InvalidGrantError: HTTPStatus.BAD_REQUEST,
    errors.MethodNotUsableError: HTTPStatus.BAD_REQUEST,
    errors.TokenNotConsumableError: HTTPStatus.BAD_REQUEST,
    authorization_errors.InvalidRequestObjectError: HTTPStatus.BAD_REQUEST,
    authorization_errors.RequestUriNotSupportedError: HTTPStatus.BAD_REQUEST,
    authorization_errors.LoginRequiredError: HTTPStatus.BAD_REQUEST,
    authorization_errors.InteractionRequiredError: HTTPStatus.BAD_REQUEST,
    authorization_errors.ConsentRequiredError: HTTPStatus.BAD_REQUEST,
    authorization_errors.InvalidDpopProofError: HTTPStatus.BAD_REQUEST,
    authorization_errors.UseDpopNonceError: HTTPStatus.BAD_REQUEST,
    signal_errors.SetRefusedError: HTTPStatus.BAD_REQUEST,
    errors.ClientAuthenticationError: HTTPStatus.UNAUTHORIZED,
    proof_errors.ProofRefusedError: HTTPStatus.UNAUTHORIZED,
    proof_errors.TokenNonceNeededError: HTTPStatus.UNAUTHORIZED,
    admin_errors.NotAuthorizedError: HTTPStatus.UNAUTHORIZED,
    admin_errors.InsufficientUserAuthenticationError: HTTPStatus.UNAUTHORIZED,
    admin_errors.InsufficientScopeError: HTTPStatus.FORBIDDEN,
    errors.ClientNotAllowedError: HTTPStatus.FORBIDDEN,
    errors.ActionDeniedError: HTTPStatus.FORBIDDEN,
    errors.UnmetRequirementError: HTTPStatus.FORBIDDEN,
    errors.WrongBrowserError: HTTPStatus.FORBIDDEN,
    errors.StepUpRequiredError: HTTPStatus.FORBIDDEN,
    # Not 401: that needs a WWW-Authenticate (RFC 9110 section 15.5.2), and no scheme is ours here.
    errors.VerificationFailedError: HTTPStatus.FORBIDDEN,
    errors.CodeTooEarlyError: HTTPStatus.FORBIDDEN,
    errors.SessionNotFoundError: HTTPStatus.FORBIDDEN,
    errors.ChallengeNotFoundError: HTTPStatus.NOT_FOUND,
    errors.AuthenticatorNotFoundError: HTTPStatus.NOT_FOUND,
    errors.EnrollmentNotFoundError: HTTPStatus.NOT_FOUND,
    errors.PolicyNotFoundError: HTTPStatus.NOT_FOUND,
    errors.DecisionNotFoundError: HTTPStatus.NOT_FOUND,
    errors.DecisionDigestedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    client_errors.ClientNotFoundError: HTTPStatus.NOT_FOUND,
    client_errors.ClientInvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    client_errors.ClientExistsError: HTTPStatus.CONFLICT,
    client_errors.SecretlessClientError: HTTPStatus.CONFLICT,
    policy_errors.DraftNotFoundError: HTTPStatus.NOT_FOUND,
    signal_errors.StreamNotFoundError: HTTPStatus.NOT_FOUND,
    signal_errors.SubjectNotRecognizedError: HTTPStatus.NOT_FOUND,
    signal_errors.TooManyStreamsError: HTTPStatus.CONFLICT,
    policy_errors.VersionNotFoundError: HTTPStatus.NOT_FOUND,
    admin_errors.AdministratorProtectedError: HTTPStatus.FORBIDDEN,
    policy_errors.OwnDraftError: HTTPStatus.FORBIDDEN,
    policy_errors.PersonRequiredError: HTTPStatus.FORBIDDEN,
    policy_errors.DigestChangedError: HTTPStatus.CONFLICT,
    policy_errors.BaseChangedError: HTTPStatus.CONFLICT,
    policy_errors.AlreadyActiveError: HTTPStatus.CONFLICT,
    policy_errors.ApprovalRequiredError: HTTPStatus.CONFLICT,
    policy_errors.DraftClosedError: HTTPStatus.CONFLICT,
    policy_errors.DraftScheduledError: HTTPStatus.CONFLICT,
    policy_errors.RevisionStaleError: HTTPStatus.PRECONDITION_FAILED,
    policy_errors.VersionStaleError: HTTPStatus.PRECONDITION_FAILED,
    policy_errors.RevisionRequiredError: HTTPStatus.PRECONDITION_REQUIRED,
    policy_errors.ShadowNotFoundError: HTTPStatus.NOT_FOUND,
    policy_errors.ReplayRunningError: HTTPStatus.TOO_MANY_REQUESTS,
    status_errors.StatusListNotFoundError: HTTPStatus.NOT_FOUND,
    status_errors.StatusFormNotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    status_errors.HistoricalStatusError: HTTPStatus.NOT_IMPLEMENTED,
    errors.ChallengeNotPendingError: HTTPStatus.CONFLICT,
    errors.CeremonyExpiredError: HTTPStatus.CONFLICT,
    errors.TokenAlreadyConsumedError: HTTPStatus.CONFLICT,
    errors.AuthenticatorExistsError: HTTPStatus.CONFLICT,
    admin_errors.ApiKeyExistsError: HTTPStatus.CONFLICT,
    errors.LastAuthenticatorError: HTTPStatus.CONFLICT,
    errors.BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.PolicyInvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TookTooLongError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotSupportedYetError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
    signal_errors.VerificationTooSoonError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.OutcomeUnknownError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DependencyUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NewerFormatError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every error's status; a test walks the subclasses and finds one for each of them."""

OAUTH_CODES: Mapping[type[StepUpError], str] = {
    errors.UnsupportedResponseTypeError: "unsupported_response_type",
    errors.UnsupportedGrantTypeError: "unsupported_grant_type",
    errors.UnsupportedTokenTypeError: "unsupported_token_type",
    errors.InvalidScopeError: "invalid_scope",
    errors.InvalidTargetError: "invalid_target",
    errors.InvalidAuthorizationDetailsError: "invalid_authorization_details",
    authorization_errors.InvalidRequestObjectError: "invalid_request_object",
    authorization_errors.RequestUriNotSupportedError: "request_uri_not_supported",
    authorization_errors.LoginRequiredError: "login_required",
    authorization_errors.InteractionRequiredError: "interaction_required",
    authorization_errors.ConsentRequiredError: "consent_required",
    authorization_errors.InvalidDpopProofError: "invalid_dpop_proof",
    authorization_errors.UseDpopNonceError: "use_dpop_nonce",
    proof_errors.ProofRefusedError: "invalid_dpop_proof",
    proof_errors.TokenNonceNeededError: "use_dpop_nonce",
    errors.InvalidGrantError: "invalid_grant",
    errors.ClientAuthenticationError: "invalid_client",
    errors.ClientNotAllowedError: "unauthorized_client",
    errors.ActionDeniedError: "access_denied",
    errors.UnmetRequirementError: "unmet_authentication_requirements",
    errors.TooManyAttemptsError: "temporarily_unavailable",
    errors.OutcomeUnknownError: "temporarily_unavailable",
    errors.DependencyUnavailableError: "temporarily_unavailable",
    errors.NewerFormatError: "temporarily_unavailable",
}
"""What RFC 6749 and its relatives call a cause; everything else is `invalid_request`."""

# What an OAuth error keeps of HTTP's vocabulary; the rest is 400 (RFC 6749 section 5.2).
_OAUTH_STATUSES = frozenset({401, 404, 405, 413, 429, 500, 503})

_BASIC = 'Basic realm="stepup", charset="UTF-8"'
# Whole seconds, as RFC 9110 section 10.2.3 says. One is about what a failover of Redis needs; who
# must wait for somebody else's replay waits a quarter of a minute.
_RETRY_AFTER = {503: "1", 429: "15"}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the edge sees it, before it has a form."""

    status: int
    code: str
    title: str
    detail: str
    oauth_code: str = "invalid_request"
    headers: dict[str, str] = {}
    extensions: dict[str, object] = {}

    @property
    def oauth_status(self) -> int:
        """The status of the same error at an OAuth endpoint."""
        return oauth_status(self.status)


def oauth_status(status: int) -> int:
    """Return the status that an error has at an OAuth endpoint."""
    return status if status in _OAUTH_STATUSES else HTTPStatus.BAD_REQUEST


def listed(cause: type[StepUpError]) -> type[StepUpError] | None:
    """Return the class that stands for an error in these tables: itself, or a parent's.

    A special case of a listed cause, which only its raiser tells apart, needs no entry.
    """
    return next((parent for parent in cause.__mro__ if parent in STATUS), None)


def problem_of(error: Exception, *, dpop: bool = False) -> Problem:
    """Look an error up; what nobody foresaw says nothing about itself.

    `dpop` when the request shows a token in that scheme, for the challenge to be in it, too.
    """
    match error:
        case StepUpError() if (cause := listed(type(error))) is not None:
            return _of_domain(error, cause, dpop=dpop)
        case HTTPException() if error.status_code < 500:
            return _of_framework(error)
        case ClientGoneError():
            return Problem(
                status=HTTPStatus.BAD_REQUEST,
                code="client_gone",
                title="The request was broken off.",
                detail="The connection ended before the request did.",
            )
        case _:
            return Problem(
                status=HTTPStatus.INTERNAL_SERVER_ERROR,
                code="internal_error",
                title="Something went wrong on our side.",
                detail="The request could not be served; its identifier leads to the reason.",
                oauth_code="server_error",
            )


def _of_domain(error: StepUpError, cause: type[StepUpError], *, dpop: bool) -> Problem:
    status = STATUS[cause]
    return Problem(
        status=status,
        code=error.code,
        title=error.message,
        detail=error.detail,
        oauth_code=OAUTH_CODES.get(cause, "invalid_request"),
        headers=_headers_of(error, status, dpop=dpop) | _nonce_of(error),
        extensions=_extensions_of(error),
    )


def _headers_of(error: StepUpError, status: int, *, dpop: bool) -> dict[str, str]:
    match error:
        case errors.ClientAuthenticationError():
            return {"www-authenticate": _BASIC}
        case (
            admin_errors.NotAuthorizedError()
            | admin_errors.InsufficientScopeError()
            | admin_errors.InsufficientUserAuthenticationError()
            | proof_errors.ProofRefusedError()
            | proof_errors.TokenNonceNeededError()
        ):
            return {"www-authenticate": token_challenge(error, dpop=dpop)}
        case errors.TooManyAttemptsError():
            return {"retry-after": str(_whole_seconds(error))}
        case (
            policy_errors.RevisionStaleError(revision=now)
            | policy_errors.VersionStaleError(active=now)
        ) if now:
            return {"etag": f'"{now}"'}
        case _ if status in _RETRY_AFTER:
            return {"retry-after": _RETRY_AFTER[status]}
        case _:
            return {}


def _nonce_of(error: StepUpError) -> dict[str, str]:
    match error:
        case authorization_errors.UseDpopNonceError():
            return {"dpop-nonce": error.nonce}
        case _:
            return {}


def _extensions_of(error: StepUpError) -> dict[str, object]:
    match error:
        case errors.CodeTooEarlyError():
            return {"tries_left": error.tries_left, "retry_after": _whole_seconds(error)}
        case errors.VerificationFailedError() if error.tries_left is not None:
            return {"tries_left": error.tries_left}
        case errors.TooManyAttemptsError():
            return {"retry_after": _whole_seconds(error)}
        case errors.TokenAlreadyConsumedError():
            return {"consumed_at": int(error.consumed_at.timestamp())}
        case errors.PolicyInvalidError():
            return {"findings": list(error.findings)}
        case _:
            return {**error.facts, **what_is_needed(error)}


def _whole_seconds(error: errors.TooManyAttemptsError | errors.CodeTooEarlyError) -> int:
    # Rounded up: a caller that waits exactly this long must not be too early.
    return max(1, math.ceil(error.retry_after.total_seconds()))


_FRAMEWORK_CODES = {
    404: ("not_found", "There is nothing here.", "Nothing is served at this path."),
    405: ("method_not_allowed", "This method is not allowed.", "The path has other methods."),
    413: ("body_too_large", errors.BodyTooLargeError.message, errors.BodyTooLargeError.message),
    415: ("unsupported_media_type", "This media type is not read here.", "Send another one."),
}


def _of_framework(error: HTTPException) -> Problem:
    code, title, detail = _FRAMEWORK_CODES.get(
        error.status_code,
        (
            errors.InvalidRequestError.code,
            errors.InvalidRequestError.message,
            errors.InvalidRequestError.message,
        ),
    )
    return Problem(
        status=error.status_code,
        code=code,
        title=title,
        detail=detail,
        headers={name.lower(): value for name, value in (error.headers or {}).items()},
        extensions=_validation_findings(error.extra),
    )


def _validation_findings(extra: dict[str, Any] | list[Any] | None) -> dict[str, object]:
    """Keep which member was wrong and what was expected; never what was sent."""
    if not isinstance(extra, list):
        return {}
    invalid = [
        {"name": str(item.get("key", "")), "reason": str(item.get("message", ""))}
        for item in extra
        if isinstance(item, dict)
    ]
    return {"invalid": invalid} if invalid else {}
