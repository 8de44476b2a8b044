"""Who is calling: a client with its secret, or an administrator with a token.

A client authenticates in one way and never in two (RFC 6749 section 2.3): with a secret in the
Authorization header or in a form, with a signed assertion, with the certificate of its TLS
connection, or, where a route lets public clients in, by its name alone.
"""

from base64 import b64decode
from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from stepup.domain.admin_errors import NotAuthorizedError
from stepup.domain.client import Client
from stepup.domain.client_authentication import (
    AssertionShown,
    AuthMethod,
    Credentials,
    OnlyNamed,
)
from stepup.domain.errors import ClientAuthenticationError, InvalidRequestError
from stepup.domain.ids import ClientId
from stepup.http.client_certificate import certificate_of
from stepup.http.form import Form, decode_component, read_form
from stepup.http.headers import headers
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.usecases import clients
from stepup.usecases.client_authentication import authenticate

AnyRequest = Request[Any, Any, Any]

_PUBLIC = "lets_public_clients_in"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTIONS = frozenset({"client_assertion", "client_assertion_type"})
_IN_FORMS = _ASSERTIONS | {"client_secret"}
_TWICE = "The client authenticates twice; choose one way."


async def provide_caller(request: AnyRequest, ports: NamedDependency[Ports]) -> Client:
    """Authenticate the client of a JSON endpoint by its Authorization header.

    A JSON body has no place for an assertion, so it comes as a bearer token there.

    Raises:
        ClientAuthenticationError: If there is none, or it is wrong.
    """
    basic = basic_credentials(request)
    if basic is not None:
        return await _by_header(request, ports, basic)
    scheme, _, text = authorization_header(request, ClientAuthenticationError).partition(b" ")
    if scheme.lower() != b"bearer":
        raise ClientAuthenticationError
    shown = AssertionShown(text.strip().decode("latin-1"), request.scope["path"])
    return await _authenticated(request, ports, shown)


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
        InvalidRequestError: If it authenticates twice, or names two clients.
        ClientAuthenticationError: If it does not authenticate, or not as it must.
    """
    from_header = basic_credentials(request)
    if from_header is None:
        return await _by_form(request, ports, form)
    if not _IN_FORMS.isdisjoint(form):
        raise InvalidRequestError(_TWICE)
    if form.get("client_id", from_header[0]) != from_header[0]:
        raise InvalidRequestError("The header and the body name two clients.")
    return await _by_header(request, ports, from_header)


def lets_public_clients_in() -> dict[str, Any]:
    """Return the `opt` of a route for clients that cannot keep a secret, too."""
    return {_PUBLIC: True}


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


async def _by_header(request: AnyRequest, ports: Ports, basic: tuple[str, str]) -> Client:
    client_id, secret = basic
    if secret:
        return await _by_secret(request, ports, client_id, secret, AuthMethod.SECRET_BASIC)
    # RFC 6749 section 2.3.1 lets an empty secret be left out: what is left is a name.
    shown = OnlyNamed(ClientId(client_id), certificate_of(request))
    return await _authenticated(request, ports, shown)


async def _by_form(request: AnyRequest, ports: Ports, form: Form) -> Client:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if not _ASSERTIONS.isdisjoint(form):
        return await _authenticated(request, ports, _assertion_in(request, form))
    if client_id is None:
        raise ClientAuthenticationError
    if secret is not None:
        return await _by_secret(request, ports, client_id, secret, AuthMethod.SECRET_POST)
    shown = OnlyNamed(ClientId(client_id), certificate_of(request))
    return await _authenticated(request, ports, shown)


def _assertion_in(request: AnyRequest, form: Form) -> AssertionShown:
    if "client_secret" in form:
        raise InvalidRequestError(_TWICE)
    if form.get("client_assertion_type") != _JWT_BEARER:
        raise ClientAuthenticationError
    named = form.get("client_id")
    return AssertionShown(
        form.get("client_assertion", ""),
        request.scope["path"],
        None if named is None else ClientId(named),
    )


async def _by_secret(
    request: AnyRequest, ports: Ports, client_id: str, secret: str, method: AuthMethod
) -> Client:
    client = await clients.authenticate(ports, client_id, secret, method)
    request_log(request).client = client.client_id
    return client


async def _authenticated(request: AnyRequest, ports: Ports, shown: Credentials) -> Client:
    client = await authenticate(ports, shown)
    if client.is_public and not request.scope["route_handler"].opt.get(_PUBLIC):
        raise ClientAuthenticationError
    request_log(request).client = client.client_id
    return client
