"""`/v1/step-ups`: decision and pushed request in one call."""

from typing import Any, Literal

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.client import Client
from stepup.domain.decision import Allow, StepUp
from stepup.http.attempts import attempt_of
from stepup.http.authzen.answers import log_decision
from stepup.http.authzen.entities import (
    ActionEntity,
    EvaluationRequest,
    Properties,
    ResourceEntity,
    SubjectEntity,
    question_of,
)
from stepup.http.decision_notes import notes_of
from stepup.http.json_body import read_json
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json, returns
from stepup.ports import Ports
from stepup.usecases import step_up


class StepUpRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An evaluation request, and what is needed to send the browser off at once."""

    subject: SubjectEntity
    action: ActionEntity
    resource: ResourceEntity
    redirect_uri: str
    code_challenge: str
    code_challenge_method: Literal["S256"]
    context: Properties = {}
    state: str | None = None
    scope: str | None = None
    audience: str | None = None
    subject_token: str | None = None
    subject_token_type: str | None = None
    ui_locales: str | None = None

    def __repr__(self) -> str:
        return f"StepUpRequest({self.action.name})"


class StepUpResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """`outcome` says which of the other members are there, `notes` how it came about if unusually."""

    outcome: Literal["allow", "step_up", "deny"]
    reason: str | None = None
    authorization_url: str | None = None
    request_uri: str | None = None
    expires_in: int | None = None
    acr: str | None = None
    max_age: int | None = None
    methods: list[str] | None = None
    policy_version: int | None = None
    notes: dict[str, Any] | None = None


@post(
    "/v1/step-ups",
    status_code=200,
    tags=["step-up"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(StepUpRequest),
    responses=returns(StepUpResponse, "A step-up is needed, and begun.", status=201)
    | problem_responses(
        errors.ClientAuthenticationError,
        errors.ClientNotAllowedError,
        errors.InvalidSubjectTokenError,
        errors.InvalidTargetError,
        errors.UnmetRequirementError,
    ),
)
async def begin_step_up(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[StepUpResponse]:
    """Decide; when a step-up is needed, return the URL to send the browser to (201)."""
    asked = await read_json(request, StepUpRequest)
    question = question_of(
        EvaluationRequest(asked.subject, asked.action, asked.resource, asked.context)
    )
    begun = await step_up.step_up(
        ports, caller, question, _pushed(asked), attempt_of(request, ports, caller)
    )
    log_decision(request, asked.action.name, begun.answer)
    answer = _answer(begun)
    return Response(answer, status_code=201 if answer.outcome == "step_up" else 200)


def _pushed(asked: StepUpRequest) -> AuthorizationRequest:
    return AuthorizationRequest(
        response_type="code",
        redirect_uri=asked.redirect_uri,
        state=asked.state,
        code_challenge=asked.code_challenge,
        code_challenge_method=asked.code_challenge_method,
        scope=asked.scope,
        resource=asked.audience,
        subject_token=asked.subject_token,
        subject_token_type=asked.subject_token_type,
        ui_locales=asked.ui_locales,
    )


def _answer(begun: step_up.Begun) -> StepUpResponse:
    decision = begun.answer.decision
    version, notes = decision.basis.policy_version, notes_of(decision) or None
    if not isinstance(decision, StepUp):
        outcome: Literal["allow", "deny"] = "allow" if isinstance(decision, Allow) else "deny"
        return StepUpResponse(
            outcome=outcome, reason=decision.reason.value, policy_version=version, notes=notes
        )
    max_age = decision.requirement.max_age
    return StepUpResponse(
        outcome="step_up",
        authorization_url=begun.authorization_url,
        request_uri=begun.pushed.request_uri if begun.pushed else None,
        expires_in=begun.pushed.expires_in if begun.pushed else None,
        acr=decision.requirement.acr,
        max_age=None if max_age is None else int(max_age.total_seconds()),
        methods=[method.value for method in begun.answer.methods],
        policy_version=version,
        notes=notes,
    )


router = Router(path="/", route_handlers=[begin_step_up])
