"""`/oauth2/revoke`: a token is over before its time (RFC 7009)."""

from litestar import Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.http.caller import lets_public_clients_in
from stepup.http.form import Form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import revoke


@post(
    "/oauth2/revoke",
    status_code=200,
    tags=["oauth"],
    opt=lets_public_clients_in(),
    security=CLIENT_SECURITY,
    operation_class=reads_form(("token",), ("token_type_hint",)),
    responses=oauth_responses(errors.OutcomeUnknownError),
)
async def revoke_token(
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> None:
    """Revoke a token; 200 also for what is none, since the client can do nothing about it."""
    await revoke.revoke(ports, form_caller, form.need("token"))


router = Router(path="/", route_handlers=[revoke_token])
