"""What would change the meaning of a request, and is not built: refused, never passed over.

RFC 6749 section 3.1 has unknown parameters ignored. These are known, and a client that sends one
relies on it: it would take a bearer token for one that is bound to its key.
"""

from typing import Any

from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.http.headers import headers


def check_no_proof(request: Request[Any, Any, Any]) -> None:
    """Refuse a proof of possession: the token that it would get is bound to no key.

    Raises:
        InvalidRequestError: If the request has a DPoP header (RFC 9449).
    """
    if headers(request.scope, b"dpop"):
        raise InvalidRequestError("DPoP is not supported.")
