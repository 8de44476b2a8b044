"""`/v1/admin/policy`: read the active document, activate another one."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, put
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.errors import InvalidRequestError
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import ADMIN_SECURITY, admin_responses
from stepup.ports import PolicyVersion, Ports
from stepup.usecases import policies

# The language refuses more than a mebibyte itself; here is room for its finding to say so.
_DOCUMENT_LIMIT = 1024 * 1024 + 4096


class PolicyDocument(msgspec.Struct, frozen=True):
    """A version with its text."""

    version: int
    author: str
    activated_at: datetime
    document: str


class ActivatedVersion(msgspec.Struct, frozen=True):
    """A version that every instance decides by within two seconds."""

    version: int
    activated_at: datetime


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    responses=admin_responses(errors.PolicyNotFoundError),
)
async def show_policy(ports: NamedDependency[Ports]) -> Response[PolicyDocument]:
    """Return the active policy document."""
    active = await policies.get_active(ports)
    document = PolicyDocument(
        version=active.version,
        author=active.author,
        activated_at=active.activated_at,
        document=active.document,
    )
    return Response(document, headers={"etag": _tag(active)})


@put(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_ACTIVATE) | reads_up_to(_DOCUMENT_LIMIT),
    responses=admin_responses(errors.PolicyInvalidError, errors.BodyTooLargeError),
)
async def activate_policy(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ActivatedVersion]:
    """Check the YAML or JSON document in the body and activate it at once."""
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The document is not UTF-8.") from None
    version = await policies.activate(ports, text, administrator.name)
    activated = ActivatedVersion(version=version.version, activated_at=version.activated_at)
    return Response(activated, headers={"etag": _tag(version)})


def _tag(version: PolicyVersion) -> str:
    return f'"{version.version}"'


router = Router(
    path="/v1/admin/policy",
    route_handlers=[show_policy, activate_policy],
    guards=[administrators_only],
)
