"""`/oauth2/par`: a client pushes an authorization request (RFC 9126)."""

from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import authorization_errors, errors
from stepup.domain.authorization_request import PARAMETERS, AuthorizationRequest
from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.http.attempts import attempt_of
from stepup.http.caller import lets_public_clients_in
from stepup.http.form import Form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import authorize


class ParResponse(msgspec.Struct, frozen=True):
    """RFC 9126 section 2.2."""

    request_uri: str
    expires_in: int


@post(
    "/oauth2/par",
    tags=["oauth"],
    opt=lets_public_clients_in(),
    security=CLIENT_SECURITY,
    operation_class=reads_form((), PARAMETERS, takes_proof=True),
    responses=oauth_responses(
        errors.ClientNotAllowedError,
        errors.InvalidTargetError,
        errors.InvalidScopeError,
        errors.UnsupportedResponseTypeError,
        authorization_errors.InvalidRequestObjectError,
        errors.InvalidAuthorizationDetailsError,
        errors.UnmetRequirementError,
        errors.ActionDeniedError,
        authorization_errors.LoginRequiredError,
        authorization_errors.InvalidDpopProofError,
        authorization_errors.UseDpopNonceError,
    ),
)
async def push(
    request: Request[Any, Any, Any],
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    proof: NamedDependency[Confirmation | None],
    ports: NamedDependency[Ports],
) -> ParResponse:
    """Accept an authorization request and return the `request_uri` that stands for it."""
    accepted = await authorize.accept(
        ports,
        form_caller,
        AuthorizationRequest.of(form),
        attempt_of(request, ports, form_caller),
        jkt=None if proof is None else proof.jkt,
    )
    return ParResponse(request_uri=accepted.request_uri, expires_in=accepted.expires_in)


router = Router(path="/", route_handlers=[push])
