"""Who is calling: a client with its secret, or an administrator with a token.

A client brings its secret in the Authorization header or, at form endpoints, in the body, never in
both (RFC 6749 section 2.3).
"""

from base64 import b64decode
from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from stepup.domain.admin_errors import NotAuthorizedError
from stepup.domain.client import Client
from stepup.domain.errors import ClientAuthenticationError, InvalidRequestError
from stepup.http.form import Form, decode_component, read_form
from stepup.http.headers import headers
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.usecases import clients

AnyRequest = Request[Any, Any, Any]


async def provide_caller(request: AnyRequest, ports: NamedDependency[Ports]) -> Client:
    """Authenticate the client of a JSON endpoint by its Authorization header.

    Raises:
        ClientAuthenticationError: If there is none, or it is wrong.
    """
    return await _authenticated(request, ports, basic_credentials(request))


async def provide_form(request: AnyRequest, ports: NamedDependency[Ports]) -> Form:  # noqa: ARG001  see below
    """Read the form of an OAuth endpoint."""
    # It asks for the ports so as to come after them: what Litestar could provide at the same time
    # it provides in a task group, and that costs more than the form.
    return await read_form(request)


async def provide_form_caller(
    request: AnyRequest, ports: NamedDependency[Ports], form: NamedDependency[Form]
) -> Client:
    """Authenticate the client of a form endpoint by its header or its body.

    Raises:
        InvalidRequestError: If both carry a secret, or they name two clients.
        ClientAuthenticationError: If there is no secret, or it is wrong.
    """
    from_header = basic_credentials(request)
    if from_header is None:
        client_id, secret = form.get("client_id"), form.get("client_secret")
        sent = None if client_id is None or secret is None else (client_id, secret)
        return await _authenticated(request, ports, sent)
    if "client_secret" in form:
        raise InvalidRequestError("The client authenticates twice; choose one way.")
    if form.get("client_id", from_header[0]) != from_header[0]:
        raise InvalidRequestError("The header and the body name two clients.")
    return await _authenticated(request, ports, from_header)


def basic_credentials(request: AnyRequest) -> tuple[str, str] | None:
    """Read identifier and secret from the header, None when it brings no Basic credentials.

    Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1).

    Raises:
        ClientAuthenticationError: If there is a header that cannot be read.
    """
    sent = authorization_header(request, ClientAuthenticationError)
    scheme, _, encoded = sent.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).partition(b":")
        credentials = decode_component(client_id), decode_component(secret)
    except (ValueError, InvalidRequestError):
        raise ClientAuthenticationError from None
    if not colon:
        raise ClientAuthenticationError
    return credentials


def authorization_header(
    request: AnyRequest, refusal: type[ClientAuthenticationError | NotAuthorizedError]
) -> bytes:
    """Return the Authorization header, empty when there is none; two are refused.

    Raises:
        ClientAuthenticationError, NotAuthorizedError: The `refusal`, if there is more than one.
    """
    sent = headers(request.scope, b"authorization")
    # Two headers are two answers to one question; a proxy may have read the other one.
    if len(sent) > 1:
        raise refusal
    return sent[0] if sent else b""


async def _authenticated(
    request: AnyRequest, ports: Ports, credentials: tuple[str, str] | None
) -> Client:
    if credentials is None:
        raise ClientAuthenticationError
    client = await clients.authenticate(ports, *credentials)
    request_log(request).client = client.client_id
    return client
