"""`/oauth2/par`: a client pushes an authorization request (RFC 9126)."""

from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.http.attempts import attempt_of
from stepup.http.form import Form
from stepup.http.oauth.unsupported import check_authorization_request, check_no_proof
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import authorize
from stepup.usecases.authorize import PushedRequest

_PARAMETERS = tuple(field.name for field in msgspec.structs.fields(PushedRequest))


class ParResponse(msgspec.Struct, frozen=True):
    """RFC 9126 section 2.2."""

    request_uri: str
    expires_in: int


@post(
    "/oauth2/par",
    tags=["oauth"],
    security=CLIENT_SECURITY,
    operation_class=reads_form(("response_type",), _PARAMETERS[1:]),
    responses=oauth_responses(
        errors.ClientNotAllowedError,
        errors.InvalidTargetError,
        errors.InvalidScopeError,
        errors.UnsupportedResponseTypeError,
        errors.RequestObjectNotSupportedError,
        errors.InvalidAuthorizationDetailsError,
        errors.UnmetRequirementError,
    ),
)
async def push(
    request: Request[Any, Any, Any],
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> ParResponse:
    """Accept an authorization request and return the `request_uri` that stands for it."""
    check_authorization_request(form)
    check_no_proof(request)
    pushed = pushed_request(form)
    accepted = await authorize.push(
        ports, form_caller, pushed, attempt_of(request, ports, form_caller)
    )
    return ParResponse(request_uri=accepted.request_uri, expires_in=accepted.expires_in)


def pushed_request(form: Form) -> PushedRequest:
    """Take the parameters that we know; unknown ones are ignored (RFC 6749 section 3.1)."""
    return PushedRequest(**{name: form[name] for name in _PARAMETERS if name in form})


router = Router(path="/", route_handlers=[push])
