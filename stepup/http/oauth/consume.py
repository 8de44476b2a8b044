"""`/oauth2/consume`: a once-only token is used up.

It is our own, so it answers errors as problems.
"""

from typing import Any

from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.http.attempts import attempt_of
from stepup.http.form import Form
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_form
from stepup.ports import Ports
from stepup.usecases import consume


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
    claims = await consume.consume(
        ports,
        form_caller,
        form.need("token"),
        attempt_of(request, ports, form_caller),
        expected_action=form.get("action"),
        expected_digest=form.get("bound_digest"),
    )
    return {"active": True, **claims}


router = Router(path="/", route_handlers=[consume_token])
