"""`/oauth2/introspect`, `/oauth2/revoke` and `/oauth2/consume`: what becomes of a token.

Introspection and revocation speak as RFC 7662 and RFC 7009 say; consuming is our own, so it
answers errors as problems.
"""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup import telemetry
from stepup.domain import errors
from stepup.domain.client import Client
from stepup.http.attempts import attempt_of
from stepup.http.caller import provide_form_caller
from stepup.http.direct import answers_directly
from stepup.http.form import Form, read_form
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, problem_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import introspect, keys, revoke


async def _introspected(request: Request[Any, Any, Any], ports: Ports) -> dict[str, Any]:
    form = await read_form(request)
    caller = await provide_form_caller(request, ports, form)
    text = form.need("token")
    claims = await introspect.introspect(ports, caller, text)
    if claims is None:
        if keys.names_unknown_key(ports, text):
            telemetry.jwks_unknown_kid_total.inc()
        return {"active": False}
    return _active(claims)


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


@post(
    "/oauth2/revoke",
    status_code=200,
    tags=["oauth"],
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


@post(
    "/oauth2/consume",
    status_code=200,
    tags=["oauth"],
    security=CLIENT_SECURITY,
    operation_class=reads_form(("token",), ("action", "bound_digest")),
    responses=problem_responses(
        errors.ClientAuthenticationError,
        errors.ClientNotAllowedError,
        errors.TokenNotConsumableError,
        errors.TokenAlreadyConsumedError,
        errors.OutcomeUnknownError,
    ),
)
async def consume_token(
    request: Request[Any, Any, Any],
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> dict[str, Any]:
    """Use up a once-only token: exactly one caller gets its claims, everybody else 409."""
    claims = await introspect.consume(
        ports,
        form_caller,
        form.need("token"),
        attempt_of(request, ports, form_caller),
        expected_action=form.get("action"),
        expected_digest=form.get("bound_digest"),
    )
    return _active(claims)


def _active(claims: Mapping[str, object]) -> dict[str, Any]:
    return {"active": True, "token_type": "Bearer", **claims}


router = Router(path="/", route_handlers=[introspect_token, revoke_token, consume_token])
