"""`/oauth2/consume`: a once-only token is used up.

It is our own, so it answers errors as problems.
"""

from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.domain.unambiguous_json import check_unambiguous
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
    operation_class=reads_form(("token",), ("action", "bound", "bound_digest")),
    responses=problem_responses(
        errors.InvalidRequestError,
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
    """Use up a once-only token: exactly one caller gets its claims, everybody else 409.

    `bound` is a JSON object of the values that the token must have been approved for,
    `bound_digest` is their digest; a token for another action or other values is not used up.
    """
    claims = await consume.consume(
        ports,
        form_caller,
        form.need("token"),
        attempt_of(request, ports, form_caller),
        consume.Expected(
            action=form.get("action"),
            digest=form.get("bound_digest"),
            values=_values(form.get("bound")),
        ),
    )
    return {"active": True, **claims}


def _values(text: str | None) -> dict[str, Any] | None:
    """Read the values of the bound attributes.

    Raises:
        InvalidRequestError: If they are no JSON object, or one that could be read in two ways.
    """
    if text is None:
        return None
    check_unambiguous(text.encode())
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise errors.InvalidRequestError("bound is a JSON object.") from None


router = Router(path="/", route_handlers=[consume_token])
