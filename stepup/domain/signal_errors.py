"""What can go wrong between a transmitter of security events and their receiver."""

from enum import StrEnum

from stepup.domain.errors import StepUpError, TooManyAttemptsError


class SetError(StrEnum):
    """Why a SET is refused, by the registered names (RFC 8935 section 2.4, SSF 1.0)."""

    INVALID_REQUEST = "invalid_request"
    INVALID_KEY = "invalid_key"
    INVALID_ISSUER = "invalid_issuer"
    INVALID_AUDIENCE = "invalid_audience"
    AUTHENTICATION_FAILED = "authentication_failed"
    ACCESS_DENIED = "access_denied"
    INVALID_STATE = "invalid_state"


class SetRefusedError(StepUpError):
    """A SET that was sent to us does not hold; sending it again changes nothing."""

    code = "set_refused"
    message = "The security event token is not accepted."

    def __init__(self, err: SetError, detail: str | None = None) -> None:
        super().__init__(detail)
        self.err = err


class StreamNotFoundError(StepUpError):
    """There is no such stream of this receiver; whose it may be else is not said."""

    code = "stream_not_found"
    message = "This receiver has no such stream."


class SubjectNotRecognizedError(StepUpError):
    """The identifier names nobody whom this receiver can hear of (SSF 1.0 section 8.1.3.2)."""

    code = "subject_not_recognized"
    message = "No subject of this receiver's issuer is named."


class TooManyStreamsError(StepUpError):
    """The receiver has as many streams as it may have (SSF 1.0 section 8.1.1.1)."""

    code = "too_many_streams"
    message = "This receiver has as many streams as it may have."


class VerificationTooSoonError(TooManyAttemptsError):
    """The stream was verified a moment ago (SSF 1.0 section 8.1.4.2)."""

    code = "verification_too_soon"
    message = "The stream was verified a moment ago."
