"""`POST /v1/signals/receive`: identity providers push their security events to us (RFC 8935)."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from stepup.domain.admin_errors import NotAuthorizedError
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.http.body import read_body
from stepup.http.caller import authorization_header
from stepup.http.form import media_type
from stepup.http.headers import headers
from stepup.http.openapi import problem_responses
from stepup.ports import Ports
from stepup.telemetry import signals_received_total
from stepup.usecases import receive_signal

_SET_TYPE = b"application/secevent+jwt"


class SetErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why a SET is refused (RFC 8935 section 2.3)."""

    err: SetError
    description: str


@dataclass
class _ReadsSet(Operation):
    def __post_init__(self) -> None:
        media = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
        self.request_body = RequestBody(content={_SET_TYPE.decode(): media}, required=True)


@post(
    "/receive",
    status_code=202,
    tags=["signals"],
    security=[{"transmitter": []}],
    operation_class=_ReadsSet,
    responses={
        **problem_responses(),
        202: ResponseSpec(None, description="The event has taken effect, or has none here."),
        400: ResponseSpec(
            SetErrorDocument, generate_examples=False, description="The SET is not accepted."
        ),
    },
)
async def receive_event(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> Response[Any]:
    """Take a security event of an identity provider; 202 once it is effective."""
    try:
        heard, kind = await receive_signal.receive(ports, await _set(request), _token(request))
    except SetRefusedError as error:
        signals_received_total.labels(type="unknown", outcome=error.err).inc()
        document = SetErrorDocument(err=error.err, description=error.detail)
        # RFC 8935 section 2.3: the description says in which language it is.
        return Response(
            document,
            status_code=400,
            headers={"content-language": "en"},
            media_type="application/json",
        )
    name = kind.rpartition("/")[2]
    known = name if heard is not receive_signal.Heard.NO_EFFECT else "other"
    signals_received_total.labels(type=known, outcome=heard).inc()
    return Response(b"", status_code=202, media_type="text/plain")


async def _set(request: Request[Any, Any, Any]) -> str:
    sent = headers(request.scope, b"content-type")
    if len(sent) != 1 or media_type(sent[0]) != _SET_TYPE:
        raise SetRefusedError(
            SetError.INVALID_REQUEST, "The request must be application/secevent+jwt."
        )
    try:
        return (await read_body(request)).decode("ascii").strip()
    except UnicodeDecodeError:
        raise SetRefusedError(SetError.INVALID_REQUEST, "That is no SET.") from None


def _token(request: Request[Any, Any, Any]) -> str:
    """Read the transmitter's token.

    Raises:
        SetRefusedError: If there is none, or there are two.
    """
    try:
        scheme, _, token = authorization_header(request, NotAuthorizedError).partition(b" ")
    except NotAuthorizedError:
        scheme, token = b"", b""
    if scheme.lower() != b"bearer" or not token.strip():
        raise SetRefusedError(SetError.AUTHENTICATION_FAILED, "A bearer token is needed.")
    return token.strip().decode("latin-1")


router = Router(path="/v1/signals", route_handlers=[receive_event])
