"""What an authorization request, or a proof that came with one, can be refused for."""

from stepup.domain.errors import StepUpError


class InvalidRequestObjectError(StepUpError):
    """The signed request does not hold (RFC 9101 section 6.3)."""

    code = "invalid_request_object"
    message = "The request object is not valid."


class RequestUriNotSupportedError(StepUpError):
    """Requests are pushed to us; we fetch none from elsewhere (RFC 9101 section 5.2.3)."""

    code = "request_uri_not_supported"
    message = "The request_uri is not one of ours, and no other is fetched."


class LoginRequiredError(StepUpError):
    """Nobody is known here, and nothing may be shown (OpenID Connect Core section 3.1.2.6)."""

    code = "login_required"
    message = "The subject must sign in first."


class InteractionRequiredError(StepUpError):
    """The subject must do something, and nothing may be shown."""

    code = "interaction_required"
    message = "The subject must confirm, which prompt=none does not allow."


class ConsentRequiredError(StepUpError):
    """The subject must agree to something, and nothing may be shown."""

    code = "consent_required"
    message = "The subject must agree, which prompt=none does not allow."


class InvalidDpopProofError(StepUpError):
    """The proof of possession does not hold (RFC 9449 section 5)."""

    code = "invalid_dpop_proof"
    message = "The DPoP proof is not valid."


class UseDpopNonceError(StepUpError):
    """The proof must carry a nonce of ours; `nonce` is one (RFC 9449 section 8)."""

    code = "use_dpop_nonce"
    message = "The DPoP proof needs a nonce of this server."

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce = nonce
