"""`/v1/admin/policy/drafts`: write them and look at them.

A change names the revision that it changes: `If-Match` has the ETag that the draft was read with.
"""

from typing import Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors, policy_errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.errors import InvalidRequestError
from stepup.domain.policy_draft import Edit
from stepup.http.admin.conditional import etag, seen_revision
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.paging import read_page
from stepup.http.admin.policy_documents import (
    BODY_LIMIT,
    HIGHEST_DRAFT,
    DraftDocument,
    Name,
    Number,
    WholeDraftDocument,
    changed_draft,
    draft_document,
    draft_number,
    version_number,
    whole_draft_document,
)
from stepup.http.form import read_query
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import (
    ADMIN_SECURITY,
    NamesRevision,
    admin_responses,
    reads_json,
    reads_query,
)
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import drafts
from stepup.usecases.compare import Difference, compare
from stepup.usecases.drafts import NewDraft


class DraftRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new draft: with a text, as a copy of a draft, or with the active version's text."""

    name: Name
    document: str | None = None
    copy_of: int | None = None


class DraftChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to become different; `base` is the version that the draft is to replace."""

    name: Name | None = None
    document: str | None = None
    base: Number | None = None


class DraftList(msgspec.Struct, frozen=True):
    """Drafts, newest first; `next_token` is empty with the last ones."""

    drafts: list[DraftDocument]
    next_token: str


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    operation_class=reads_query(optional=("limit", "page_token")),
    responses=admin_responses(),
)
async def list_drafts(request: Request[Any, Any, Any], ports: NamedDependency[Ports]) -> DraftList:
    """List drafts, newest first, without their texts."""
    page = read_page(request, highest=HIGHEST_DRAFT)
    found = await drafts.list_drafts(ports, before=page.before, count=page.count)
    needed = ports.site.policy_approvals
    return DraftList(
        [draft_document(draft, needed) for draft in found],
        page.next_token(found, lambda draft: draft.id),
    )


@post(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_DRAFT) | reads_up_to(BODY_LIMIT),
    operation_class=reads_json(DraftRequest),
    responses=admin_responses(policy_errors.DraftNotFoundError, errors.BodyTooLargeError),
)
async def begin_draft(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[DraftDocument]:
    """Begin a draft in place of the active version; its text may still have errors."""
    asked = await read_json(request, DraftRequest)
    copy_of = None if asked.copy_of is None else draft_number(str(asked.copy_of))
    if copy_of is not None and asked.document is not None:
        raise InvalidRequestError("A copy has the text of what it is copied from.")
    wanted = NewDraft(asked.name, asked.document, copy_of)
    draft = await drafts.begin(ports, wanted, administrator)
    location = {"location": f"/v1/admin/policy/drafts/{draft.id}"}
    return changed_draft(ports, draft, location)


@get(
    "/{draft:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    responses=admin_responses(policy_errors.DraftNotFoundError),
)
async def show_draft(
    draft: FromPath[str], ports: NamedDependency[Ports]
) -> Response[WholeDraftDocument]:
    """Return a draft with its text; its ETag is what a change must name."""
    found = await drafts.get(ports, draft_number(draft))
    document = whole_draft_document(found, ports.site.policy_approvals)
    return Response(document, headers=etag(found.revision))


@put(
    "/{draft:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_DRAFT) | reads_up_to(BODY_LIMIT),
    operation_class=reads_json(DraftChange, names_revision=True),
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.RevisionRequiredError,
        policy_errors.RevisionStaleError,
        policy_errors.DraftClosedError,
        policy_errors.DraftScheduledError,
        policy_errors.BaseChangedError,
        errors.BodyTooLargeError,
    ),
)
async def save_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[DraftDocument]:
    """Change name, text or base of a draft; another text or base voids what was approved."""
    revision = seen_revision(request)
    asked = await read_json(request, DraftChange)
    change = Edit(name=asked.name, document=asked.document, base=asked.base)
    saved = await drafts.save(ports, draft_number(draft), change, administrator, revision)
    return changed_draft(ports, saved)


@delete(
    "/{draft:str}",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_DRAFT),
    operation_class=NamesRevision,
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.RevisionRequiredError,
        policy_errors.RevisionStaleError,
        policy_errors.DraftClosedError,
        policy_errors.DraftScheduledError,
    ),
)
async def discard_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> None:
    """Discard a draft; it stays to be read."""
    revision = seen_revision(request)
    await drafts.discard(ports, draft_number(draft), administrator, revision)


@get(
    "/{draft:str}/diff",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ),
    operation_class=reads_query(optional=("against",)),
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.VersionNotFoundError,
        errors.TookTooLongError,
    ),
)
async def compare_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
) -> Difference:
    """Say how a draft differs from the version that `against` names, or from the `active` one."""
    against = read_query(request).get("against", "active")
    version = None if against == "active" else version_number(against)
    return await compare(ports, workshop, draft_number(draft), version)


router = Router(
    path="/v1/admin/policy/drafts",
    route_handlers=[
        list_drafts,
        begin_draft,
        show_draft,
        save_draft,
        discard_draft,
        compare_draft,
    ],
    guards=[administrators_only],
)
