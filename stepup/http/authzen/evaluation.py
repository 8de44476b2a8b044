"""AuthZEN 1.0 section 6: access evaluation, one decision."""

from typing import Any

from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.decision import Allow
from stepup.http.authzen.answers import context_of, log_decision
from stepup.http.authzen.entities import EvaluationRequest, EvaluationResponse, question_of
from stepup.http.caller import provide_caller
from stepup.http.direct import answers_directly
from stepup.http.json_body import read_json
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json
from stepup.ports import Ports
from stepup.usecases import decide


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


router = Router(path="/", route_handlers=[evaluate])
