"""`/oauth2/revoke`: a token is over before its time (RFC 7009)."""

from litestar import Response, Router, post
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
    media_type="text/plain",
    status_code=200,
    tags=["oauth"],
    opt=lets_public_clients_in(),
    security=CLIENT_SECURITY,
    operation_class=reads_form(("token",), ("token_type_hint",)),
    responses=oauth_responses(errors.OutcomeUnknownError, errors.UnsupportedTokenTypeError),
)
async def revoke_token(
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[bytes]:
    """Revoke a token, and with a refresh token all that it gave; 200 also for what is none.

    The client can do nothing about an unknown one (RFC 7009 section 2.2).
    """
    text = form.need("token")
    # Whatever the hint says (section 2.1): the text itself tells what it is.
    if not await refresh_tokens.end_refresh(ports, form_caller, text):
        await revoke.revoke(ports, form_caller, text)
    # What is asked is in the status, and nothing in the body.
    return Response(b"", status_code=200, media_type="text/plain")


router = Router(path="/", route_handlers=[revoke_token])
