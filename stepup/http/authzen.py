"""AuthZEN 1.0: access evaluation. A denial that a step-up would lift says how, in both known forms.

Unknown members are ignored (section 10.1.1); what is required and missing is a 400.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.assurance import Acr, Amr, AuthnContext
from stepup.domain.binding import Value
from stepup.domain.decision import Allow, Deny, StepUp
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from stepup.http.caller import provide_caller
from stepup.http.direct import answers_directly
from stepup.http.json_body import read_json
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.telemetry import decision_errors_total, decisions_total
from stepup.usecases import decide

Properties = dict[str, Value]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
# NumericDate up to the year 9999.
Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]


class SubjectEntity(msgspec.Struct, frozen=True):
    """Section 5.1. `properties.issuer` names the upstream that the id belongs to."""

    type: Text
    id: Text
    properties: Properties = {}


class ResourceEntity(msgspec.Struct, frozen=True):
    """Section 5.2."""

    type: Text
    id: Text
    properties: Properties = {}


class ActionEntity(msgspec.Struct, frozen=True):
    """Section 5.3."""

    name: Text
    properties: Properties = {}


class ReportedAuthentication(msgspec.Struct, frozen=True):
    """An authentication that a client reports; believed only of clients that may."""

    acr: Text
    auth_time: Seconds
    amr: list[str] = []


class EvaluationRequest(msgspec.Struct, frozen=True):
    """Section 6.1.

    `context.elevated_token` is one of our tokens that the subject holds already, and
    `context.authentication` an authentication that the client reports.
    """

    subject: SubjectEntity
    action: ActionEntity
    resource: ResourceEntity
    context: Properties = {}


class EvaluationResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Section 6.2. `context` is there when a reason or a step-up is to be told."""

    decision: bool
    context: dict[str, Any] | None = None


async def _evaluated(request: Request[Any, Any, Any], ports: Ports) -> EvaluationResponse:
    caller = await provide_caller(request, ports)
    asked = await read_json(request, EvaluationRequest)
    answer = await decide.decide(ports, caller, question_of(asked))
    log_decision(request, asked.action.name, answer)
    return EvaluationResponse(
        decision=isinstance(answer.decision, Allow), context=context_of(ports, answer)
    )


@post(
    "/access/v1/evaluation",
    status_code=200,
    tags=["authzen"],
    opt=answers_directly(_evaluated),
    security=CLIENT_SECURITY,
    operation_class=reads_json(EvaluationRequest),
    responses=problem_responses(errors.ClientAuthenticationError, errors.ClientNotAllowedError),
)
async def evaluate(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> EvaluationResponse:
    """Decide whether a subject may do something with the authentication it has."""
    return await _evaluated(request, ports)


def question_of(asked: EvaluationRequest) -> decide.Question:
    """Turn a request into the domain's question."""
    token = asked.context.get("elevated_token")
    issuer = asked.subject.properties.get("issuer")
    return decide.Question(
        request=DecisionRequest(
            subject_type=asked.subject.type,
            subject_id=asked.subject.id,
            action=ActionName(asked.action.name),
            resource_type=asked.resource.type,
            resource_id=asked.resource.id,
            subject=asked.subject.properties,
            resource=asked.resource.properties,
            action_properties=asked.action.properties,
            context=asked.context,
        ),
        subject_issuer=issuer if isinstance(issuer, str) else None,
        elevated_token=token if isinstance(token, str) else None,
        asserted=_reported(asked.context.get("authentication")),
    )


def context_of(ports: Ports, answer: decide.Answer) -> dict[str, Any] | None:
    """Say why not, and what would help; nothing when there is nothing to say."""
    match answer.decision:
        case StepUp() as decision:
            return {**step_up_context(answer, decision), "step_up_uri": ports.site.url(_PAR)}
        case Deny() as decision:
            reason = {"reason": decision.reason.value}
            return reason if decision.text is None else {**reason, "reason_text": decision.text}
        case Allow() if answer.must_consume:
            return {"obligations": [_consume_obligation(ports)]}
        case Allow():
            return None


def _consume_obligation(ports: Ports) -> dict[str, Any]:
    """Tell the caller to use the token up before it acts: a decision spends nothing."""
    endpoint = ports.site.url("/oauth2/consume")
    return {"id": "consume", "type": "consume", "properties": {"endpoint": endpoint}}


def step_up_context(answer: decide.Answer, decision: StepUp) -> dict[str, Any]:
    """Say what is needed: AuthZEN section 5.5.2.3, the obligations profile, and our own members."""
    requirement = decision.requirement
    properties: dict[str, Any] = {"acr_value": requirement.acr}
    context: dict[str, Any] = {
        "acr_values": requirement.acr,
        "methods": [method.value for method in answer.methods],
        "obligations": [{"id": "step-up", "type": "step-up", "properties": properties}],
        "step_up_ticket": answer.ticket,
        "policy_version": decision.basis.policy_version,
        "guardrails": list(decision.basis.guardrails),
    }
    if decision.basis.rule is not None:
        context["rule"] = decision.basis.rule
    if answer.amr_values:
        context["amr_values"] = " ".join(answer.amr_values)
        properties["amr_values"] = list(answer.amr_values)
    if requirement.max_age is not None:
        context["max_age"] = int(requirement.max_age.total_seconds())
    return context


def log_decision(request: Request[Any, Any, Any], action: str, answer: decide.Answer) -> None:
    """Put the decision into the log line and the metrics."""
    outcome = {Allow: "allow", StepUp: "step_up", Deny: "deny"}[type(answer.decision)]
    log = request_log(request)
    log.subject, log.action, log.decision = answer.subject.id, action, outcome
    # Actions that the policy does not name share one series: anybody can invent names.
    label = action if answer.is_named else "unknown"
    decisions_total.labels(action=label, outcome=outcome).inc()
    if answer.decision.basis.error is not None:
        decision_errors_total.labels(action=label).inc()


def _reported(value: Value) -> AuthnContext | None:
    if value is None:
        return None
    try:
        reported = msgspec.convert(value, ReportedAuthentication)
    except msgspec.ValidationError as error:
        raise errors.InvalidRequestError(f"context.authentication: {error}.") from None
    return AuthnContext(
        acr=Acr(reported.acr),
        amr=tuple(Amr(value) for value in reported.amr),
        auth_time=datetime.fromtimestamp(reported.auth_time, UTC),
    )


_PAR = "/oauth2/par"

router = Router(path="/", route_handlers=[evaluate])
