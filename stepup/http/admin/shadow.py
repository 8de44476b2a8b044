"""`GET /v1/admin/policy/shadow`: what the shadow would have answered to live requests."""

from datetime import datetime

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency

from stepup.domain.administrator import AdminAction
from stepup.domain.ids import ActionName, DraftId
from stepup.domain.policy_errors import ShadowNotFoundError
from stepup.domain.replay import Example
from stepup.domain.shadow import SAME
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.openapi import ADMIN_SECURITY, admin_responses
from stepup.ports import Ports
from stepup.usecases import shadow


class ShadowCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often the shadow would have answered one action with that difference."""

    action: ActionName
    difference: str
    decisions: int


class ShadowDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A draft's text as the shadow, and everything counted of that text by all instances.

    `since` is when counting began. `differences` leaves out what was the same; `failed` are
    decisions for which it could not be evaluated. Examples are the latest of each kind.
    """

    draft: DraftId
    digest: str
    marked_at: datetime
    since: datetime | None
    decisions: int
    differing: int
    differences: list[ShadowCount]
    examples: list[Example]


@get(
    "/shadow",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    responses=admin_responses(ShadowNotFoundError),
)
async def show_shadow(ports: NamedDependency[Ports]) -> ShadowDocument:
    """Say how the shadow differs from the active policy on live traffic."""
    marked, found = await shadow.findings(ports)
    differences = [
        ShadowCount(action=action, difference=difference, decisions=decisions)
        for (action, difference), decisions in sorted(found.counts.items())
        if difference != SAME
    ]
    return ShadowDocument(
        draft=marked.draft,
        digest=marked.digest,
        marked_at=marked.at,
        since=found.since,
        decisions=sum(found.counts.values()),
        differing=sum(each.decisions for each in differences),
        differences=differences,
        examples=list(found.examples),
    )


router = Router(path="/v1/admin/policy", route_handlers=[show_shadow], guards=[administrators_only])
