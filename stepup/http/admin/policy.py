"""`/v1/admin/policy`: the active document, its versions, the way back, and what is wrong with a text."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors, policy_errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.errors import InvalidRequestError
from stepup.http.admin.conditional import etag, replaced_version
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.paging import read_page
from stepup.http.admin.policy_documents import (
    HIGHEST_VERSION,
    Name,
    VersionDocument,
    WholeVersionDocument,
    version_document,
    version_number,
    whole_version_document,
)
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import (
    ADMIN_SECURITY,
    MayNameVersion,
    admin_responses,
    reads_json,
    reads_query,
)
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import policies
from stepup.usecases.policy_reading import check_policy

# The language refuses more than a mebibyte itself; here is room for its finding to say so.
_DOCUMENT_LIMIT = 1024 * 1024 + 4096


class ActivatedVersion(msgspec.Struct, frozen=True):
    """A version that every instance decides by within two seconds."""

    version: int
    activated_at: datetime


class VersionList(msgspec.Struct, frozen=True):
    """Versions, newest first; `next_token` is empty with the last ones."""

    versions: list[VersionDocument]
    next_token: str


class RollbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    note: Name


class FindingDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to put right; an error forbids the document's use."""

    code: str
    severity: str
    message: str
    line: int
    column: int
    path: str


class TestDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How one of the document's own tests came out; without failures it passed."""

    action: str
    name: str
    failures: list[str]


class CheckedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong or doubtful, and how the tests came out; `valid` when it could become active.

    A document that has other errors has no `tests`: they come after the repair.
    """

    valid: bool
    findings: list[FindingDocument]
    tests: list[TestDocument]


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    responses=admin_responses(errors.PolicyNotFoundError),
)
async def show_policy(ports: NamedDependency[Ports]) -> Response[WholeVersionDocument]:
    """Return the active policy document."""
    active = await policies.get_active(ports)
    return Response(whole_version_document(active), headers=etag(active.version))


@put(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_ACTIVATE) | reads_up_to(_DOCUMENT_LIMIT),
    operation_class=MayNameVersion,
    responses=admin_responses(
        errors.PolicyInvalidError,
        errors.TookTooLongError,
        errors.BodyTooLargeError,
        policy_errors.ApprovalRequiredError,
        policy_errors.VersionStaleError,
    ),
)
async def activate_policy(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> Response[ActivatedVersion]:
    """Check the YAML or JSON document in the body and activate it at once.

    Where others must approve a policy first, this ends with `approval_required`: make a draft.
    With `If-Match` it replaces that version and no other, with `If-None-Match: *` none.
    """
    replacing = replaced_version(request)
    text = await _document(request)
    version = await policies.activate(
        ports,
        text,
        administrator.name,
        workshop,
        by=administrator.id,
        replacing=replacing,
    )
    activated = ActivatedVersion(version=version.version, activated_at=version.activated_at)
    return Response(activated, headers=etag(version.version))


@post(
    "/check",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ) | reads_up_to(_DOCUMENT_LIMIT),
    responses=admin_responses(errors.TookTooLongError, errors.BodyTooLargeError),
)
async def check_document(
    request: Request[Any, Any, Any], workshop: NamedDependency[Workshop]
) -> CheckedDocument:
    """Say what is wrong with the YAML or JSON document in the body, and run its tests."""
    found, tests = await check_policy(await _document(request), workshop)
    return CheckedDocument(
        valid=not any(finding.is_error for finding in found),
        findings=[
            msgspec.convert(msgspec.to_builtins(finding), FindingDocument) for finding in found
        ],
        tests=[
            TestDocument(action=test.action, name=test.name, failures=list(test.failures))
            for test in tests
        ],
    )


@get(
    "/versions",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    operation_class=reads_query(optional=("limit", "page_token")),
    responses=admin_responses(),
)
async def list_versions(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> VersionList:
    """List versions, newest first, without their texts."""
    page = read_page(request, highest=HIGHEST_VERSION)
    found = await policies.list_versions(ports, before=page.before, count=page.count)
    return VersionList(
        [version_document(version) for version in found],
        page.next_token(found, lambda version: version.version),
    )


@get(
    "/versions/{version:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    responses=admin_responses(policy_errors.VersionNotFoundError),
)
async def show_version(
    version: FromPath[str], ports: NamedDependency[Ports]
) -> Response[WholeVersionDocument]:
    """Return a version with its text; it never changes."""
    found = await policies.get_version(ports, version_number(version))
    return Response(whole_version_document(found), headers=etag(found.version))


@post(
    "/versions/{version:str}/rollback",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_ROLLBACK),
    operation_class=reads_json(RollbackRequest),
    responses=admin_responses(
        policy_errors.VersionNotFoundError,
        policy_errors.AlreadyActiveError,
        policy_errors.ApprovalRequiredError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
    ),
)
async def roll_back(
    request: Request[Any, Any, Any],
    version: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> Response[VersionDocument]:
    """Make the text of an earlier version the active one again, as a new version."""
    asked = await read_json(request, RollbackRequest)
    number = version_number(version)
    made = await policies.roll_back(ports, workshop, number, administrator, asked.note)
    return Response(version_document(made), headers=etag(made.version))


async def _document(request: Request[Any, Any, Any]) -> str:
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The document is not UTF-8.") from None


router = Router(
    path="/v1/admin/policy",
    route_handlers=[
        show_policy,
        activate_policy,
        check_document,
        list_versions,
        show_version,
        roll_back,
    ],
    guards=[administrators_only],
)
