"""`/oauth2/introspect`: what an elevated token says (RFC 7662)."""

from typing import Any

from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup import telemetry
from stepup.http.caller import provide_form_caller
from stepup.http.direct import answers_directly
from stepup.http.form import read_form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import introspect, keys


async def _introspected(request: Request[Any, Any, Any], ports: Ports) -> dict[str, Any]:
    form = await read_form(request)
    caller = await provide_form_caller(request, ports, form)
    text = form.need("token")
    claims = await introspect.introspect(ports, caller, text)
    if claims is None:
        if keys.names_unknown_key(ports, text):
            telemetry.jwks_unknown_kid_total.inc()
        return {"active": False}
    return {"active": True, "token_type": "Bearer", **claims}


@post(
    "/oauth2/introspect",
    status_code=200,
    tags=["oauth"],
    opt=answers_directly(_introspected),
    security=CLIENT_SECURITY,
    operation_class=reads_form(("token",), ("token_type_hint",)),
    responses=oauth_responses(),
)
async def introspect_token(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> dict[str, Any]:
    """Say what an active token says; of any other only that it is not active."""
    return await _introspected(request, ports)


router = Router(path="/", route_handlers=[introspect_token])
