"""AuthZEN 1.0 section 7: access evaluations, many decisions in one request.

The members beside `evaluations` are defaults. An item's own entity replaces the default as a whole
(section 7.1.1); only a `type`, `id` or `name` that it lacks is completed (docs/divergences.md).
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from stepup.domain import errors
from stepup.domain.batch import Semantic, check_size
from stepup.domain.client import Client
from stepup.domain.decision import Allow
from stepup.domain.errors import InvalidRequestError
from stepup.http.authzen.answers import context_of, count_decision, log_decision
from stepup.http.authzen.entities import (
    ActionEntity,
    EvaluationRequest,
    EvaluationResponse,
    Properties,
    ResourceEntity,
    SubjectEntity,
    Text,
    question_of,
)
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json, returns
from stepup.http.problems import STATUS
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.usecases import decide, evaluate_batch
from stepup.usecases.evaluate_batch import Answered, Asked

BODY_LIMIT = 256 * 1024


class DefaultEntity(msgspec.Struct, frozen=True):
    """A subject or resource that items complete themselves with."""

    type: Text | UnsetType = UNSET
    id: Text | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class DefaultAction(msgspec.Struct, frozen=True):
    """An action that items complete themselves with."""

    name: Text | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class Options(msgspec.Struct, frozen=True):
    """Section 7.1.2."""

    evaluations_semantic: Semantic = Semantic.EXECUTE_ALL


class EvaluationsRequest(msgspec.Struct, frozen=True):
    """Section 7.1. Without items it is an evaluation request (section 6.1)."""

    subject: DefaultEntity | UnsetType = UNSET
    action: DefaultAction | UnsetType = UNSET
    resource: DefaultEntity | UnsetType = UNSET
    context: Properties | UnsetType = UNSET
    evaluations: list[dict[str, Any]] = []
    options: Options = Options()


class EvaluationsResponse(msgspec.Struct, frozen=True):
    """Section 7.2."""

    evaluations: list[EvaluationResponse]


@post(
    "/access/v1/evaluations",
    status_code=200,
    tags=["authzen"],
    opt=reads_up_to(BODY_LIMIT),
    security=CLIENT_SECURITY,
    operation_class=reads_json(EvaluationsRequest),
    responses=returns(
        EvaluationsResponse | EvaluationResponse, "As many decisions as the semantic asks for."
    )
    | problem_responses(errors.ClientAuthenticationError, errors.ClientNotAllowedError),
)
async def evaluate_all(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[EvaluationsResponse | EvaluationResponse]:
    """Decide about many things at once."""
    asked = await read_json(request, EvaluationsRequest)
    defaults: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(asked, evaluations=[]))
    if not asked.evaluations:
        return Response(await _single(request, ports, caller, _request_of(defaults)))
    check_size(len(asked.evaluations))
    shared = _read_once(defaults)
    batch = [_question_of(item, defaults, shared) for item in asked.evaluations]
    semantic = asked.options.evaluations_semantic
    answered = await evaluate_batch.evaluate_batch(ports, caller, batch, semantic)
    for answer in answered:
        if isinstance(answer, decide.Answer):
            count_decision(answer.request.action, answer)
    request_log(request).decision = f"{len(answered)} of {len(batch)}"
    return Response(EvaluationsResponse([_answer_of(ports, answer) for answer in answered]))


async def _single(
    request: Request[Any, Any, Any], ports: Ports, caller: Client, asked: EvaluationRequest
) -> EvaluationResponse:
    answer = await decide.decide(ports, caller, question_of(asked))
    log_decision(request, asked.action.name, answer)
    return _answer_of(ports, answer)


def _read_once(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read the defaults that are whole, for all items that take them over.

    A quarter of a megabyte that each of 200 items had a copy of would be fifty.
    """
    read: dict[str, Any] = {}
    for name, value in defaults.items():
        with contextlib.suppress(msgspec.ValidationError, KeyError):
            read[name] = msgspec.convert(value, _SHAPES[name])
    return read


def _question_of(
    item: Mapping[str, Any], defaults: Mapping[str, Any], shared: Mapping[str, Any]
) -> Asked:
    whole = completed(item, defaults)
    whole |= {name: read for name, read in shared.items() if name not in item}
    # What is read already is taken as it is, but for a mapping, which would be copied.
    context = None if "context" in item else whole.pop("context", None)
    try:
        asked = _request_of(whole)
        if context is not None:
            asked = msgspec.structs.replace(asked, context=context)
        return question_of(asked)
    except InvalidRequestError as error:
        return error


def completed(item: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Complete an item of a batch with the defaults beside it; properties are never mixed."""
    whole = {name: defaults[name] for name in _IDENTIFYING if name in defaults} | dict(item)
    for name, members in _IDENTIFYING.items():
        own, default = item.get(name), defaults.get(name, {})
        if isinstance(own, dict):
            whole[name] = {m: default[m] for m in members if m in default} | own
    return whole


def _request_of(written: Mapping[str, Any]) -> EvaluationRequest:
    try:
        return msgspec.convert(written, EvaluationRequest)
    except msgspec.ValidationError as error:
        # Says what was expected and where, never what was sent.
        raise InvalidRequestError(f"{error}.") from None


def _answer_of(ports: Ports, answered: Answered) -> EvaluationResponse:
    if isinstance(answered, InvalidRequestError):
        status = STATUS[InvalidRequestError].value
        error = {"status": status, "message": answered.detail}
        return EvaluationResponse(decision=False, context={"error": error})
    return EvaluationResponse(
        decision=isinstance(answered.decision, Allow), context=context_of(ports, answered)
    )


_IDENTIFYING: Mapping[str, tuple[str, ...]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
    "context": (),
}

_SHAPES: Mapping[str, Any] = {
    "subject": SubjectEntity,
    "action": ActionEntity,
    "resource": ResourceEntity,
    "context": Properties,
}

router = Router(path="/", route_handlers=[evaluate_all])
