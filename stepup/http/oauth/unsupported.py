"""What would change the meaning of a request, and is not built: refused, never passed over.

RFC 6749 section 3.1 has unknown parameters ignored. These are known, and a client that sends one
relies on it: it would take a bearer token for one that is bound to its key.
"""

from typing import Any

from litestar import Request

from stepup.domain.errors import (
    InvalidAuthorizationDetailsError,
    InvalidRequestError,
    RequestObjectNotSupportedError,
)
from stepup.http.form import Form
from stepup.http.headers import headers


def check_authorization_request(form: Form) -> None:
    """Refuse parameters of an authorization request whose meaning we could not keep.

    Raises:
        RequestObjectNotSupportedError: If it is a request object.
        InvalidAuthorizationDetailsError: If it says itself what is to be authorized.
        InvalidRequestError: If it wants claims, a bound code, silence, or another way back.
    """
    if "request_uri" in form:
        # RFC 9126 section 2.1, step 2.
        raise InvalidRequestError("request_uri cannot be pushed.")
    if "request" in form:
        raise RequestObjectNotSupportedError
    if "authorization_details" in form:
        raise InvalidAuthorizationDetailsError
    for name in ("claims", "dpop_jkt"):
        if name in form:
            raise InvalidRequestError(f"{name} is not supported.")
    if "none" in form.get("prompt", "").split():
        # A challenge is always shown, which is what every other prompt asks for.
        raise InvalidRequestError("prompt=none is not supported: a step-up needs the subject.")
    if form.get("response_mode", "query") != "query":
        raise InvalidRequestError("The only supported response_mode is query.")


def check_no_proof(request: Request[Any, Any, Any]) -> None:
    """Refuse a proof of possession: the token that it would get is bound to no key.

    Raises:
        InvalidRequestError: If the request has a DPoP header (RFC 9449).
    """
    if headers(request.scope, b"dpop"):
        raise InvalidRequestError("DPoP is not supported.")
