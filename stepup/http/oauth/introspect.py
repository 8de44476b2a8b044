"""`/oauth2/introspect`: what an elevated token says, as JSON (RFC 7662) or signed (RFC 9701)."""

from typing import Any, cast

from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup import telemetry
from stepup.domain.client import Client
from stepup.http.accepting import prefers
from stepup.http.caller import provide_form_caller
from stepup.http.direct import Written, answers_directly, framed
from stepup.http.form import read_form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import introspect, keys

SIGNED = b"application/token-introspection+jwt"


async def _introspected(
    request: Request[Any, Any, Any], ports: Ports
) -> dict[str, object] | Written:
    form = await read_form(request)
    caller = await provide_form_caller(request, ports, form)
    answer = await _answer(ports, caller, form.need("token"))
    if not prefers(request.scope, SIGNED):
        return answer
    signed = introspect.sign_answer(ports, caller, answer)
    return Written(signed.encode("ascii"), SIGNED)


async def _answer(ports: Ports, caller: Client, text: str) -> dict[str, object]:
    claims = await introspect.introspect(ports, caller, text)
    if claims is not None:
        return {"active": True, **claims}
    if keys.names_unknown_key(ports, text):
        telemetry.jwks_unknown_kid_total.inc()
    return {"active": False}


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
) -> dict[str, object]:
    """Say what an active token says; of any other only that it is not active."""
    answer = await _introspected(request, ports)
    if isinstance(answer, Written):
        # What the route declares is the JSON; this is the same in another form.
        return cast("dict[str, object]", framed(answer))
    return answer


router = Router(path="/", route_handlers=[introspect_token])
