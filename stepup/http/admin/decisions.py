"""`/v1/admin/decisions`: what was decided, about what, and by which rule."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors
from stepup.domain.administrator import AdminAction
from stepup.domain.assurance import Approval
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ActionName, ClientId, DecisionId, Subject, SubjectId
from stepup.domain.policy import Mode
from stepup.domain.recorded_decision import Outcome, RecordedDecision
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.paging import PageRequest
from stepup.http.form import read_query
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_query
from stepup.ports import DecisionQuery, Ports
from stepup.usecases import decisions
from stepup.usecases.decisions import SavedTest

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Asked(PageRequest, frozen=True, forbid_unknown_fields=True):
    """Which records. `subject` is a `sub` of `issuer`, `subject_id` the digest that logs name."""

    action: str | None = None
    outcome: Outcome | None = None
    subject: str | None = None
    issuer: str | None = None
    subject_id: str | None = None
    client: str | None = None
    rule: str | None = None
    since: _Moment | None = None
    until: _Moment | None = None


class EntityDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A subject or a resource; of `digested` attributes a digest stands in place of the value."""

    type: str
    id: str
    properties: dict[str, Any]


class ActionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An action."""

    name: ActionName
    properties: dict[str, Any]


class AuthenticationDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The authentication that was at hand; `for_action` when it was made for one."""

    acr: str
    auth_time: datetime
    amr: list[str]
    for_action: str | None = None
    once: bool = False


class DecisionDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recorded decision; it stands for `sampled_as` of them.

    `reported` is what it would have been if everything were enforced that is only reported.
    """

    id: DecisionId
    at: datetime
    outcome: Outcome
    client_id: ClientId
    subject_id: SubjectId
    subject: EntityDocument
    action: ActionDocument
    resource: EntityDocument
    context: dict[str, Any]
    policy_version: int
    sampled_as: int
    digested: list[str] = []
    authentication: AuthenticationDocument | None = None
    reason: str | None = None
    rule: str | None = None
    guardrails: list[str] = []
    acr: str | None = None
    max_age: int | None = None
    error: str | None = None
    mode: str = Mode.ENFORCE.value
    reported: Outcome | None = None
    fallback: str | None = None
    degraded: bool = False


class DecisionsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first; `next_token` is empty with the last ones."""

    decisions: list[DecisionDocument]
    next_token: str


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    operation_class=reads_query(optional=Asked.__struct_fields__),
    responses=admin_responses(),
)
async def list_decisions(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> DecisionsDocument:
    """List recorded decisions, newest first."""
    asked = _read(request)
    page = await decisions.find_page(ports, _query(ports, asked), asked.page_token, asked.limit)
    return DecisionsDocument(
        decisions=[_document(record) for record in page.records], next_token=page.next_token
    )


@get(
    "/{decision_id:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    responses=admin_responses(errors.DecisionNotFoundError),
)
async def show_decision(
    decision_id: FromPath[DecisionId], ports: NamedDependency[Ports]
) -> DecisionDocument:
    """Return one recorded decision."""
    return _document(await decisions.get(ports, decision_id))


@get(
    "/{decision_id:str}/test",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.DECISIONS_READ),
    responses=admin_responses(errors.DecisionNotFoundError),
)
async def show_as_test(
    decision_id: FromPath[DecisionId], ports: NamedDependency[Ports]
) -> SavedTest:
    """Return a recorded decision as a test for the policy document."""
    return await decisions.get_as_test(ports, decision_id)


def _read(request: Request[Any, Any, Any]) -> Asked:
    try:
        return msgspec.convert(dict(read_query(request)), Asked, strict=False)
    except msgspec.ValidationError as error:
        # Says what was expected and where, never what was sent.
        raise InvalidRequestError(f"{error}.") from None


def _query(ports: Ports, asked: Asked) -> DecisionQuery:
    subject_id = None if asked.subject_id is None else SubjectId(asked.subject_id)
    if asked.subject is not None:
        subject_id = Subject(asked.issuer or ports.site.subject_issuer, asked.subject).id
    return DecisionQuery(
        since=asked.since,
        until=asked.until,
        actions=None if asked.action is None else frozenset({ActionName(asked.action)}),
        outcome=asked.outcome,
        subject_id=subject_id,
        client_id=None if asked.client is None else ClientId(asked.client),
        rule=asked.rule,
    )


def _document(record: RecordedDecision) -> DecisionDocument:
    request, max_age = record.request, record.max_age
    return DecisionDocument(
        id=record.id,
        at=record.at,
        outcome=record.outcome,
        client_id=record.client_id,
        subject_id=record.subject_id,
        subject=EntityDocument(
            type=request.subject_type, id=request.subject_id, properties=dict(request.subject)
        ),
        action=ActionDocument(name=request.action, properties=dict(request.action_properties)),
        resource=EntityDocument(
            type=request.resource_type, id=request.resource_id, properties=dict(request.resource)
        ),
        context=dict(request.context),
        policy_version=record.policy_version,
        sampled_as=record.sampled_as,
        digested=sorted(record.digested),
        authentication=_authentication(record.approval),
        reason=record.reason,
        rule=record.rule,
        guardrails=list(record.guardrails),
        acr=record.acr,
        max_age=None if max_age is None else int(max_age.total_seconds()),
        error=record.error,
        mode=record.mode.value,
        reported=record.reported,
        fallback=record.fallback,
        degraded=record.degraded,
    )


def _authentication(approval: Approval | None) -> AuthenticationDocument | None:
    if approval is None:
        return None
    return AuthenticationDocument(
        acr=approval.context.acr,
        auth_time=approval.context.auth_time,
        amr=list(approval.context.amr),
        for_action=approval.action,
        once=approval.once,
    )


router = Router(
    path="/v1/admin/decisions",
    route_handlers=[list_decisions, show_decision, show_as_test],
    guards=[administrators_only],
)
