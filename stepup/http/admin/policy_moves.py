"""`/v1/admin/policy/drafts/{draft}/...`: approve, activate, schedule and shadow a draft."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors, policy_errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.http.admin.conditional import seen_revision
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.policy_documents import DraftDocument, Number, changed_draft, draft_number
from stepup.http.json_body import read_json
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import activations, drafts, shadowing
from stepup.usecases.activations import Wanted

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ApprovalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which text is approved: the digest of the one that was read."""

    digest: Digest


class ActivationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When, and in place of which version if that is another than the draft is based on."""

    at: Moment | None = None
    expected_active: Number | None = None


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: a version, or a time at which there will be one."""

    draft: int
    version: int | None = None
    activated_at: datetime | None = None
    scheduled_at: datetime | None = None


@post(
    "/approvals",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_APPROVE),
    operation_class=reads_json(ApprovalRequest),
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.DigestChangedError,
        policy_errors.BaseChangedError,
        policy_errors.DraftClosedError,
        policy_errors.OwnDraftError,
        policy_errors.PersonRequiredError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
    ),
)
async def approve_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> Response[DraftDocument]:
    """Approve the text with this digest in place of the version that the draft is based on."""
    asked = await read_json(request, ApprovalRequest)
    number = draft_number(draft)
    approved = await drafts.approve(ports, workshop, number, asked.digest, administrator)
    return changed_draft(ports, approved)


@delete(
    "/approvals",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_APPROVE),
    responses=admin_responses(policy_errors.DraftNotFoundError, policy_errors.DraftClosedError),
)
async def withdraw_approval(
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> None:
    """Take one's own approval back."""
    await drafts.withdraw(ports, draft_number(draft), administrator)


@post(
    "/activation",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_ACTIVATE),
    operation_class=reads_json(ActivationRequest, names_revision=True),
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.RevisionRequiredError,
        policy_errors.RevisionStaleError,
        policy_errors.DraftClosedError,
        policy_errors.DraftScheduledError,
        policy_errors.BaseChangedError,
        policy_errors.ApprovalRequiredError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
    ),
)
async def activate_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> Activation:
    """Make the draft the active version, now or at a time."""
    revision = seen_revision(request)
    asked = await read_json(request, ActivationRequest)
    number, wanted = draft_number(draft), Wanted(revision, asked.expected_active)
    if asked.at is not None:
        await activations.schedule(ports, workshop, number, wanted, asked.at, administrator)
        return Activation(draft=number, scheduled_at=asked.at)
    version = await activations.activate(ports, workshop, number, wanted, administrator)
    return Activation(draft=number, version=version.version, activated_at=version.activated_at)


@delete(
    "/activation",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_ACTIVATE),
    responses=admin_responses(policy_errors.DraftNotFoundError, policy_errors.DraftClosedError),
)
async def cancel_activation(
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> None:
    """Take the time away at which the draft would become active."""
    await activations.cancel(ports, draft_number(draft), administrator)


@put(
    "/shadow",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_DRAFT),
    responses=admin_responses(
        policy_errors.DraftNotFoundError,
        policy_errors.DraftClosedError,
        policy_errors.RevisionStaleError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
    ),
)
async def shadow_draft(
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> None:
    """Evaluate the draft beside the active version, to no effect, in place of any other."""
    await shadowing.mark(ports, workshop, draft_number(draft), administrator)


@delete(
    "/shadow",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_DRAFT),
    responses=admin_responses(policy_errors.DraftNotFoundError),
)
async def end_shadow(
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> None:
    """Evaluate the draft no more."""
    await shadowing.unmark(ports, draft_number(draft), administrator)


router = Router(
    path="/v1/admin/policy/drafts/{draft:str}",
    route_handlers=[
        approve_draft,
        withdraw_approval,
        activate_draft,
        cancel_activation,
        shadow_draft,
        end_shadow,
    ],
    guards=[administrators_only],
)
