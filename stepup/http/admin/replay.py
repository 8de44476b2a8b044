"""`/v1/admin/policy/replay`: run a document, or a draft, over recorded decisions."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors, policy_errors
from stepup.domain.administrator import AdminAction
from stepup.domain.ids import ActionName
from stepup.domain.replay_report import ReplayReport
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.policy_documents import BODY_LIMIT, draft_number
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import drafts, replay

_Limit = Annotated[int, msgspec.Meta(ge=1, le=replay.MOST_RECORDS)]
_Actions = Annotated[list[ActionName], msgspec.Meta(min_length=1, max_length=1000)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ReplayedRecords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which recorded decisions: the newest `limit` of those between two moments.

    With `enforced`, as if everything in the document were enforced, whatever modes it has.
    """

    since: _Moment | None = None
    until: _Moment | None = None
    actions: _Actions | None = None
    limit: _Limit = replay.MOST_RECORDS
    enforced: bool = False

    def asked_with(self, text: str) -> replay.ReplayQuestion:
        """Ask about these with a document."""
        return replay.ReplayQuestion(
            document=text,
            since=self.since,
            until=self.until,
            actions=None if self.actions is None else frozenset(self.actions),
            limit=self.limit,
            enforced=self.enforced,
        )


class ReplayRequest(ReplayedRecords, frozen=True, kw_only=True):
    """The same, with the document that is tried out."""

    document: str


_RESPONSES = admin_responses(
    errors.PolicyNotFoundError,
    errors.PolicyInvalidError,
    errors.BodyTooLargeError,
    errors.TookTooLongError,
    policy_errors.ReplayRunningError,
)


@post(
    "/replay",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ) | reads_up_to(BODY_LIMIT),
    operation_class=reads_json(ReplayRequest),
    responses=_RESPONSES,
)
async def replay_document(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
) -> ReplayReport:
    """Say what a document would have made of recorded decisions; nothing is changed."""
    asked = await read_json(request, ReplayRequest)
    return await replay.replay(ports, workshop, asked.asked_with(asked.document))


@post(
    "/drafts/{draft:str}/replay",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    operation_class=reads_json(ReplayedRecords),
    responses=admin_responses(
        errors.PolicyNotFoundError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
        policy_errors.DraftNotFoundError,
        policy_errors.ReplayRunningError,
    ),
)
async def replay_draft(
    request: Request[Any, Any, Any],
    draft: FromPath[str],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
) -> ReplayReport:
    """Say what a draft would have made of recorded decisions; nothing is changed."""
    asked = await read_json(request, ReplayedRecords)
    found = await drafts.get(ports, draft_number(draft))
    return await replay.replay(ports, workshop, asked.asked_with(found.document))


router = Router(
    path="/v1/admin/policy",
    route_handlers=[replay_document, replay_draft],
    guards=[administrators_only],
)
