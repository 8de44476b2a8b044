"""`GET /schemas/...`: what policy documents and authorization details may hold, as JSON Schema."""

from typing import Any

from litestar import Request, Response, Router, get

from stepup.http.caching import cacheable, tag_of
from stepup.http.openapi import problem_responses, returns
from stepup.usecases.details_schema import published_details_schema
from stepup.usecases.policy_schema import published_schema

SCHEMA_PATH = "/schemas/policy-v1.json"
DETAILS_SCHEMA_PATH = "/schemas/stepup-action-v1.json"
# It changes with a release only, and an editor that knows yesterday's is not wrong for long.
_CACHING = "public, max-age=3600, stale-while-revalidate=86400"


@get(
    SCHEMA_PATH,
    tags=["metadata"],
    responses=returns(dict[str, Any], "JSON Schema 2020-12.") | problem_responses(),
)
async def policy_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the JSON Schema of the policy document."""
    body = published_schema()
    return cacheable(request, body, tag_of(body), _CACHING)


@get(
    DETAILS_SCHEMA_PATH,
    tags=["metadata"],
    responses=returns(dict[str, Any], "JSON Schema 2020-12.") | problem_responses(),
)
async def stepup_action_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the JSON Schema of the authorization detail `stepup_action` (RFC 9396)."""
    body = published_details_schema()
    return cacheable(request, body, tag_of(body), _CACHING)


router = Router("/", route_handlers=[policy_schema, stepup_action_schema])
