"""`/oauth2/revoke`: a token is over before its time (RFC 7009)."""

from litestar import Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.http.caller import lets_public_clients_in
from stepup.http.form import Form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import refresh_tokens, revoke


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
    """Revoke a token, of a refresh token all that it gave; 200 also for what is none, since the client can do nothing about it."""
    text = form.need("token")
    # Whatever the hint says (RFC 7009 section 2.1): the text itself tells what it is.
    if not await refresh_tokens.end_refresh(ports, form_caller, text):
        await revoke.revoke(ports, form_caller, text)


router = Router(path="/", route_handlers=[revoke_token])
