"""`POST /v1/admin/policy/explain`: what a policy would decide, and why; and why one did."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import admin_errors, errors
from stepup.domain.administrator import AdminAction, Administrator, Scope
from stepup.domain.assurance import Acr, Amr
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import DecisionId, DraftId, Subject
from stepup.domain.policy_errors import DraftNotFoundError, VersionNotFoundError
from stepup.http.admin.explanation import ExplanationDocument, explanation_document
from stepup.http.admin.gate import administrators_only, may_also, performs
from stepup.http.admin.policy_documents import BODY_LIMIT
from stepup.http.authzen.entities import (
    ActionEntity,
    Properties,
    ResourceEntity,
    Seconds,
    SubjectEntity,
    Text,
    request_of,
)
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import explain
from stepup.usecases.decide import of_subject

_FIRST_YEAR, _LAST_YEAR = 1971, 9999
_SIMULATED = {"x-stepup-simulation": "true"}

# A hundred years: further back than anybody asks, and near enough to be subtracted from any date.
Age = Annotated[int, msgspec.Meta(ge=0, le=3_155_760_000)]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ImaginedAuthentication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authentication that the subject might have.

    It is as old as `age` says in seconds, or happened at `auth_time`. With `for_this` it was made
    for this very action and these values, as a token is that a step-up ends with.
    """

    acr: Text
    amr: list[str] = []
    age: Age | None = None
    auth_time: Seconds | None = None
    for_this: bool = False


class ExplainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of an AuthZEN evaluation, the time, and what is to be explained.

    `degraded` imagines that a dependency is away. What is explained is the active version, unless
    `version`, `draft` or the text of a `document` is there.
    """

    subject: SubjectEntity
    action: ActionEntity
    resource: ResourceEntity = ResourceEntity(type="resource", id="example")
    context: Properties = {}
    authentication: ImaginedAuthentication | None = None
    at: Moment | None = None
    degraded: bool = False
    version: Number | None = None
    draft: Number | None = None
    document: str | None = None


@post(
    "/explain",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.POLICY_READ) | reads_up_to(BODY_LIMIT),
    operation_class=reads_json(ExplainRequest),
    responses=admin_responses(
        errors.PolicyNotFoundError,
        VersionNotFoundError,
        DraftNotFoundError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
        errors.BodyTooLargeError,
    ),
)
async def explain_decision(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
) -> Response[ExplanationDocument]:
    """Say what would be decided, and why; nothing comes of it."""
    asked = await read_json(request, ExplainRequest)
    named = _subject(ports, asked.subject)
    question = _question(asked, ports.clock.now())
    question = msgspec.structs.replace(question, request=of_subject(ports, question.request, named))
    # Whoever may read policies need not see what people have enrolled.
    subject = named if await may_also(request, AdminAction.SUBJECT_READ) else None
    explained = await explain.explain(ports, workshop, question, _chosen(asked), subject)
    written = explanation_document(explained, question.now)
    return Response(written, headers=_SIMULATED)


@get(
    "/{decision_id:str}/explanation",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    responses=admin_responses(
        errors.DecisionNotFoundError,
        errors.DecisionDigestedError,
        VersionNotFoundError,
        errors.PolicyInvalidError,
        errors.TookTooLongError,
    ),
)
async def explain_recorded(
    decision_id: FromPath[DecisionId],
    ports: NamedDependency[Ports],
    workshop: NamedDependency[Workshop],
    administrator: NamedDependency[Administrator],
) -> ExplanationDocument:
    """Say why a recorded decision was made, by the version that made it."""
    if not administrator.may(Scope.POLICY_READ):
        # It tells conditions.
        raise admin_errors.InsufficientScopeError(Scope.POLICY_READ)
    explained, at = await explain.explain_recorded(ports, workshop, decision_id)
    return explanation_document(explained, at)


def _question(asked: ExplainRequest, now: datetime) -> explain.Asked:
    return explain.Asked(
        request=request_of(asked.subject, asked.action, asked.resource, asked.context),
        authentication=_imagined(asked.authentication) if asked.authentication else None,
        now=now if asked.at is None else _moment(asked.at),
        degraded=asked.degraded,
    )


def _moment(at: datetime) -> datetime:
    # `auth_time` counts from 1970; and at either end of the calendar no time can be converted.
    if not _FIRST_YEAR <= at.year < _LAST_YEAR:
        raise InvalidRequestError("at lies too far away.")
    return at.astimezone(UTC)


def _imagined(described: ImaginedAuthentication) -> explain.Imagined:
    auth_time = described.auth_time
    if auth_time is not None and described.age is not None:
        raise InvalidRequestError("An authentication has an age or an auth_time, not both.")
    return explain.Imagined(
        acr=Acr(described.acr),
        amr=tuple(Amr(value) for value in described.amr),
        age=timedelta(seconds=described.age or 0),
        auth_time=None if auth_time is None else datetime.fromtimestamp(auth_time, UTC),
        for_this=described.for_this,
    )


def _chosen(asked: ExplainRequest) -> explain.Chosen:
    draft = None if asked.draft is None else DraftId(asked.draft)
    return explain.Chosen(version=asked.version, draft=draft, document=asked.document)


def _subject(ports: Ports, entity: SubjectEntity) -> Subject:
    issuer = entity.properties.get("issuer")
    return Subject(issuer if isinstance(issuer, str) else ports.site.subject_issuer, entity.id)


router = Router(
    path="/v1/admin/policy", route_handlers=[explain_decision], guards=[administrators_only]
)
recorded_router = Router(
    path="/v1/admin/decisions", route_handlers=[explain_recorded], guards=[administrators_only]
)
