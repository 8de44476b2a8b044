"""How versions and drafts look on the wire, and how their numbers are read from a path."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response

from stepup.domain.ids import AdministratorId, DraftId
from stepup.domain.policy_draft import DraftApproval, DraftHeader, DraftState, PolicyDraft
from stepup.domain.policy_errors import DraftNotFoundError, VersionNotFoundError
from stepup.http.admin.conditional import etag
from stepup.ports import PolicyVersion, Ports, VersionHeader

# A document of a mebibyte inside JSON, and some room: a writer that sends ASCII alone makes six
# bytes of two (`\u00e9`), and nothing that must be escaped takes more than three times its size.
BODY_LIMIT = 3 * 1024 * 1024 + 64 * 1024
HIGHEST_VERSION = 2**31 - 1
HIGHEST_DRAFT = 2**53

# `$` alone would let a line end behind it.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*(?!\n)$"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_PRINTABLE)]
Number = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_VERSION)]


class VersionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its text, and how it came about."""

    version: int
    digest: str
    author: str
    activated_at: datetime
    note: str
    base: int | None
    draft: int | None
    approvers: list[str]
    rolled_back_from: int | None


class WholeVersionDocument(VersionDocument, frozen=True, kw_only=True):
    """A version with its text."""

    document: str


class ApprovalDocument(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody wants the text with this digest in place of that version."""

    by: AdministratorId
    name: str
    digest: str
    base: int
    at: datetime


class DraftDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A draft without its text; `needed` approvals of others make it a version."""

    id: int
    name: str
    state: DraftState
    digest: str
    base: int
    revision: int
    authors: list[AdministratorId]
    approvals: list[ApprovalDocument]
    needed: int
    created_by: AdministratorId
    created_at: datetime
    changed_at: datetime
    scheduled_at: datetime | None
    scheduled_by: AdministratorId | None
    activated_as: int | None
    failure: str | None


class WholeDraftDocument(DraftDocument, frozen=True, kw_only=True):
    """A draft with its text."""

    document: str


def version_document(version: VersionHeader) -> VersionDocument:
    """Say all about a version but its text."""
    return msgspec.convert(version, VersionDocument, from_attributes=True)


def whole_version_document(version: PolicyVersion) -> WholeVersionDocument:
    """Say all about a version."""
    return msgspec.convert(version, WholeVersionDocument, from_attributes=True)


def draft_document(draft: DraftHeader, needed: int) -> DraftDocument:
    """Say all about a draft but its text."""
    return DraftDocument(**_told(draft, needed))


def changed_draft(
    ports: Ports, draft: DraftHeader, more: dict[str, str] | None = None
) -> Response[DraftDocument]:
    """Answer with a draft as it is now, and the ETag that the next change must name."""
    document = draft_document(draft, ports.site.policy_approvals)
    return Response(document, headers=etag(draft.revision) | (more or {}))


def whole_draft_document(draft: PolicyDraft, needed: int) -> WholeDraftDocument:
    """Say all about a draft."""
    return WholeDraftDocument(document=draft.document, **_told(draft, needed))


def draft_number(text: str) -> DraftId:
    """Read the number of a draft from a path.

    Raises:
        DraftNotFoundError: If no draft can have it.
    """
    number = _number(text, HIGHEST_DRAFT)
    if number is None:
        raise DraftNotFoundError
    return DraftId(number)


def version_number(text: str) -> int:
    """Read the number of a version from a path.

    Raises:
        VersionNotFoundError: If no version can have it.
    """
    number = _number(text, HIGHEST_VERSION)
    if number is None:
        raise VersionNotFoundError
    return number


def _number(text: str, highest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(highest))):
        return None
    number = int(text)
    return number if 0 < number <= highest else None


def _told(draft: DraftHeader, needed: int) -> dict[str, Any]:
    planned = draft.schedule
    return {
        "id": draft.id,
        "name": draft.name,
        "state": draft.state,
        "digest": draft.digest,
        "base": draft.base,
        "revision": draft.revision,
        "authors": sorted(draft.authors),
        "approvals": [_approval_document(approval) for approval in draft.approvals],
        "needed": needed,
        "created_by": draft.created_by,
        "created_at": draft.created_at,
        "changed_at": draft.changed_at,
        "scheduled_at": planned.at if planned else None,
        "scheduled_by": planned.by if planned else None,
        "activated_as": draft.activated_as,
        "failure": draft.failure,
    }


def _approval_document(approval: DraftApproval) -> ApprovalDocument:
    return msgspec.convert(approval, ApprovalDocument, from_attributes=True)
