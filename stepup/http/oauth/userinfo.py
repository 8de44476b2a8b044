"""`/oauth2/userinfo`: who the subject of an access token is (OpenID Connect Core section 5.3).

The token comes in the header alone: one in a form or a query is not read (RFC 6750 sections 2.2
and 2.3 are optional, and a query ends up in logs).
"""

from typing import Any

from litestar import HttpMethod, Router, route
from litestar.di import NamedDependency

from stepup.domain import admin_errors, proof_errors
from stepup.http.cors import ANY_ORIGIN
from stepup.http.openapi import TOKEN_SECURITY, problem_responses
from stepup.http.proofs import ShownToken
from stepup.ports import Ports
from stepup.usecases import userinfo as usecase

PATH = "/oauth2/userinfo"


@route(
    PATH,
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    tags=["oauth"],
    security=TOKEN_SECURITY,
    responses=problem_responses(
        admin_errors.NotAuthorizedError,
        admin_errors.InsufficientScopeError,
        proof_errors.ProofRefusedError,
    ),
)
async def userinfo(
    shown_token: NamedDependency[ShownToken], ports: NamedDependency[Ports]
) -> dict[str, Any]:
    """Return the subject, and how and when it authenticated; the token must have `openid`."""
    return dict(await usecase.userinfo(ports, shown_token.text, shown_token.possession))


router = Router(path="/", route_handlers=[userinfo], middleware=[ANY_ORIGIN])
