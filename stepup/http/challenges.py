"""`/v1/challenges`: the same ceremonies as JSON, for clients with screens of their own."""

from typing import Any, Literal

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import errors
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.client import Client
from stepup.domain.decision import Deny
from stepup.domain.errors import (
    ActionDeniedError,
    InvalidRequestError,
    NotSupportedYetError,
    StepUpError,
)
from stepup.domain.ids import CeremonyId, ChallengeId
from stepup.http.attempts import attempt_of
from stepup.http.authzen.answers import log_decision
from stepup.http.authzen.entities import (
    ActionEntity,
    EvaluationRequest,
    Properties,
    ResourceEntity,
    SubjectEntity,
    Text,
    question_of,
)
from stepup.http.json_body import read_json
from stepup.http.openapi import CLIENT_SECURITY, problem_responses, reads_json, returns
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.usecases import answer, decide, finish, holder, own_screens

_ANSWER_ERRORS: tuple[type[StepUpError], ...] = (
    errors.ClientAuthenticationError,
    errors.ChallengeNotFoundError,
    errors.ChallengeNotPendingError,
    errors.MethodNotUsableError,
    errors.VerificationFailedError,
    errors.CodeTooEarlyError,
    errors.TooManyAttemptsError,
    errors.OutcomeUnknownError,
)


class OpenChallenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ticket, or an action with its subject, about which we decide first."""

    ticket: str | None = None
    action: ActionEntity | Text | None = None
    subject: SubjectEntity | Text | None = None
    resource: ResourceEntity | None = None
    context: Properties = {}
    audience: str | None = None
    subject_token: str | None = None
    code_challenge: str | None = None

    def __repr__(self) -> str:
        return "OpenChallenge(***)"


class OpenedChallenge(msgspec.Struct, frozen=True):
    """A challenge to be answered; `methods` are those that bring it nearer to its level."""

    challenge_id: ChallengeId
    status: str
    methods: list[str]
    expires_in: int


class NotRequired(msgspec.Struct, frozen=True):
    """There is nothing to answer: the action may go ahead."""

    status: Literal["not_required"]


class AnswerResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """`passed` with a code for `/oauth2/token`, or `pending` when another method is needed."""

    status: Literal["passed", "pending"]
    code: str | None = None
    methods: list[str] | None = None

    def __repr__(self) -> str:
        return f"AnswerResponse({self.status})"


class OtpAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typed code."""

    method: str
    code: str

    def __repr__(self) -> str:
        return f"OtpAnswer({self.method}, ***)"


class WebAuthnAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PublicKeyCredential.toJSON()` returned; it names the ceremony it answers by itself.

    A caller that keeps the ceremony's identifier too may send it, and is refused if it is another.
    """

    credential: dict[str, Any]
    ceremony_id: CeremonyId | None = None


class WebAuthnOptions(msgspec.Struct, frozen=True):
    """Options for `parseRequestOptionsFromJSON`."""

    ceremony_id: CeremonyId
    options: dict[str, Any]


@post(
    "/",
    tags=["challenges"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(OpenChallenge),
    responses=returns(OpenedChallenge, "A challenge is open.", status=201)
    | returns(NotRequired, "The action needs no step-up.")
    | problem_responses(
        errors.ClientAuthenticationError,
        errors.ClientNotAllowedError,
        errors.InvalidTicketError,
        errors.InvalidSubjectTokenError,
        errors.InvalidTargetError,
        errors.ActionDeniedError,
        errors.UnmetRequirementError,
    ),
)
async def open_challenge(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> Response[OpenedChallenge | NotRequired]:
    """Open a challenge; 200 with `not_required` when the action needs none."""
    asked = await read_json(request, OpenChallenge)
    ticket = asked.ticket or await _ticket_for(request, ports, caller, asked)
    if ticket is None:
        return Response(NotRequired("not_required"), status_code=200)
    challenge = await own_screens.open_for_client(
        ports,
        caller,
        own_screens.OpenRequest(
            ticket=ticket,
            subject_token=asked.subject_token,
            resource=asked.audience,
            code_challenge=asked.code_challenge,
        ),
        attempt_of(request, ports, caller),
    )
    request_log(request).subject = challenge.authorization.subject.id
    return Response(_opened(ports, challenge), status_code=201)


@get(
    "/{challenge_id:str}",
    tags=["challenges"],
    security=CLIENT_SECURITY,
    responses=problem_responses(errors.ClientAuthenticationError, errors.ChallengeNotFoundError),
)
async def show_challenge(
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> OpenedChallenge:
    """Say how a challenge stands."""
    challenge = await holder.find_held(ports, challenge_id, holder.ApiClient(caller.client_id))
    return _opened(ports, challenge)


@post(
    "/{challenge_id:str}/otp",
    status_code=200,
    tags=["challenges"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(OtpAnswer),
    responses=problem_responses(*_ANSWER_ERRORS, errors.NotSupportedYetError),
)
async def answer_with_code(
    request: Request[Any, Any, Any],
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> AnswerResponse:
    """Answer with a code: `totp`, or `recovery_code`."""
    data = await read_json(request, OtpAnswer)
    holding = holder.ApiClient(caller.client_id)
    attempt = attempt_of(request, ports, caller)
    match data.method:
        case "totp":
            answered = await answer.answer_with_code(
                ports, challenge_id, holding, data.code, attempt
            )
        case "recovery_code":
            answered = await answer.answer_with_recovery_code(
                ports, challenge_id, holding, data.code, attempt
            )
        case "hotp" | "email" | "sms":
            raise NotSupportedYetError("Codes by mail, SMS and counter are not supported yet.")
        case _:
            raise InvalidRequestError("method must be totp or recovery_code.")
    return await _answered(ports, answered, holding)


@post(
    "/{challenge_id:str}/webauthn/options",
    status_code=200,
    tags=["challenges"],
    security=CLIENT_SECURITY,
    responses=problem_responses(
        errors.ClientAuthenticationError,
        errors.ChallengeNotFoundError,
        errors.ChallengeNotPendingError,
        errors.MethodNotUsableError,
    ),
)
async def webauthn_options(
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> WebAuthnOptions:
    """Begin a WebAuthn ceremony."""
    begun = await answer.begin_passkey(ports, challenge_id, holder.ApiClient(caller.client_id))
    return WebAuthnOptions(ceremony_id=begun.ceremony_id, options=dict(begun.options))


@post(
    "/{challenge_id:str}/webauthn",
    status_code=200,
    tags=["challenges"],
    security=CLIENT_SECURITY,
    operation_class=reads_json(WebAuthnAnswer),
    responses=problem_responses(*_ANSWER_ERRORS, errors.CeremonyExpiredError),
)
async def answer_with_passkey(
    request: Request[Any, Any, Any],
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> AnswerResponse:
    """Answer with what the browser's or the platform's authenticator returned."""
    data = await read_json(request, WebAuthnAnswer)
    holding = holder.ApiClient(caller.client_id)
    answered = await answer.answer_with_passkey(
        ports,
        challenge_id,
        holding,
        data.credential,
        attempt_of(request, ports, caller),
        expected_ceremony=data.ceremony_id,
    )
    return await _answered(ports, answered, holding)


@post(
    "/{challenge_id:str}/send",
    status_code=200,
    tags=["challenges"],
    security=CLIENT_SECURITY,
    responses=problem_responses(
        errors.ClientAuthenticationError,
        errors.ChallengeNotFoundError,
        errors.NotSupportedYetError,
    ),
)
async def send_code(
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> None:
    """Send a code by mail or SMS: not supported yet, and said so."""
    await holder.find_held(ports, challenge_id, holder.ApiClient(caller.client_id))
    raise NotSupportedYetError("Codes by mail and SMS are not supported yet.")


@delete(
    "/{challenge_id:str}",
    status_code=204,
    tags=["challenges"],
    security=CLIENT_SECURITY,
    responses=problem_responses(
        errors.ClientAuthenticationError,
        errors.ChallengeNotFoundError,
        errors.ChallengeNotPendingError,
    ),
)
async def cancel_challenge(
    challenge_id: FromPath[ChallengeId],
    caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> None:
    """Cancel a challenge; again is harmless."""
    await finish.cancel(ports, challenge_id, holder.ApiClient(caller.client_id))


async def _ticket_for(
    request: Request[Any, Any, Any], ports: Ports, caller: Client, asked: OpenChallenge
) -> str | None:
    if asked.action is None or asked.subject is None:
        raise InvalidRequestError("Send a ticket, or an action and a subject.")
    action = ActionEntity(asked.action) if isinstance(asked.action, str) else asked.action
    subject = (
        SubjectEntity("user", asked.subject) if isinstance(asked.subject, str) else asked.subject
    )
    resource = asked.resource or ResourceEntity("subject", subject.id)
    question = question_of(EvaluationRequest(subject, action, resource, asked.context))
    answered = await decide.decide(ports, caller, question)
    log_decision(request, action.name, answered)
    if isinstance(answered.decision, Deny):
        raise ActionDeniedError(answered.decision.text)
    return answered.ticket


def _opened(ports: Ports, challenge: Challenge) -> OpenedChallenge:
    left = challenge.expires_at - ports.clock.now()
    is_pending = challenge.state is ChallengeState.PENDING
    methods = holder.answerable_methods(ports, challenge) if is_pending else ()
    return OpenedChallenge(
        challenge_id=challenge.id,
        status=challenge.state.value,
        methods=[method.value for method in methods],
        expires_in=max(0, int(left.total_seconds())),
    )


async def _answered(
    ports: Ports, challenge: Challenge, holding: holder.ApiClient
) -> AnswerResponse:
    if challenge.state is ChallengeState.PENDING:
        methods = holder.answerable_methods(ports, challenge)
        return AnswerResponse(status="pending", methods=[method.value for method in methods])
    passed = await finish.issue_code(ports, challenge.id, holding)
    return AnswerResponse(status="passed", code=passed.code)


router = Router(
    path="/v1/challenges",
    route_handlers=[
        open_challenge,
        show_challenge,
        answer_with_code,
        webauthn_options,
        answer_with_passkey,
        send_code,
        cancel_challenge,
    ],
)
