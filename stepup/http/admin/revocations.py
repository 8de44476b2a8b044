"""`/v1/admin/revocations`: end tokens, refresh tokens and sessions on an administrator's word."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.ids import Subject
from stepup.domain.revocation import Revocation, Revoked
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.json_body import read_kept_json
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json
from stepup.ports import Ports
from stepup.usecases import ending
from stepup.usecases.ending import Ending

_LISTED = 200

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class RevocationRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is to end, and why.

    `value` is a token's `jti`, a ceremony's `txn` (for `grant`), or the identifier of a client, an
    authenticator or a key. `subject` is for what is `subject`, and whose `authenticator` it is;
    `issuer` is its identity provider, by default the deployment's.
    """

    what: Revoked
    value: _Name | None = None
    subject: _Name | None = None
    issuer: _Name | None = None
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class RevocationDocument(msgspec.Struct, frozen=True):
    """A revocation: everything of `value` from before a moment has ended.

    `value` of a subject is the name that the log has for it. It is kept until `until`, when nothing
    that it ends can be alive.
    """

    what: Revoked
    value: str
    before: datetime
    at: datetime
    until: datetime


class RevocationList(msgspec.Struct, frozen=True):
    """The last revocations that still concern something, the newest first."""

    revocations: list[RevocationDocument]


@post(
    "/",
    status_code=201,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.REVOCATION_CHANGE),
    operation_class=reads_json(RevocationRequest),
    responses=admin_responses(errors.OutcomeUnknownError),
)
async def revoke(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> RevocationDocument:
    """End it everywhere: at introspection at once, in status lists within seconds."""
    asked = await read_kept_json(request, RevocationRequest)
    issuer = asked.issuer or ports.site.subject_issuer
    wanted = Ending(
        what=asked.what,
        value=asked.value or "",
        subject=None if asked.subject is None else Subject(issuer, asked.subject),
        reason=asked.reason,
    )
    return _document(await ending.end_by(ports, wanted, administrator.id))


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.REVOCATION_READ),
    responses=admin_responses(),
)
async def list_revocations(ports: NamedDependency[Ports]) -> RevocationList:
    """List the last 200 revocations that still concern something."""
    found = await ending.list_revocations(ports, _LISTED)
    return RevocationList([_document(each) for each in found])


def _document(revocation: Revocation) -> RevocationDocument:
    return RevocationDocument(
        what=revocation.what,
        value=revocation.value,
        before=revocation.before,
        at=revocation.at,
        until=revocation.until,
    )


router = Router(
    path="/v1/admin/revocations",
    route_handlers=[revoke, list_revocations],
    guards=[administrators_only],
)
