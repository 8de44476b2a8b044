"""A guard for Litestar.

    @post("/payments", guards=[step_up(su, PAYMENT)])
    app = Litestar([pay], exception_handlers=exception_handlers)

Without the handlers a refusal still has its status and its `WWW-Authenticate` field; with them it
is a problem document too.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from litestar.connection import ASGIConnection, Request
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.response import Response
from litestar.types import ExceptionHandlersMap, Guard

from stepup.sdk.bodies import BodyKind, check_kind, fields_of, refuse_two_places
from stepup.sdk.client import StepUp
from stepup.sdk.errors import MissingToken, Scope, SdkError
from stepup.sdk.requirement import Requirement
from stepup.sdk.tokens import VerifiedToken

Connection = ASGIConnection[Any, Any, Any, Any]
Choose = Callable[[Mapping[str, object]], Requirement | None]
ReadValues = Callable[[Connection], Awaitable[Mapping[str, object]]]


class RefusedException(HTTPException):
    """A refusal in Litestar's own form, with the SDK's error inside."""

    def __init__(self, error: SdkError) -> None:
        headers = {k: v for k, v in error.headers.items() if k != "Content-Type"}
        super().__init__(error.title, status_code=error.status, headers=headers)
        self.error = error


def step_up(
    su: StepUp,
    requirement: Requirement | Choose,
    values: ReadValues | None = None,
    *,
    among: Iterable[Requirement] = (),
    body: BodyKind = "json",
) -> Guard:
    """Make a guard that lets a request through when its token meets `requirement`.

    Bound values are read from the path and the body, or by `values`; `body` says what the route
    takes, so that the caller cannot make us read another one. The verified token is then at
    `request.state.stepup`; a once-only token is used up. Instead of one requirement there may be a
    function that chooses one by those values, `among` those that are checked at the start; where
    it returns None, no elevated token is needed and the route authenticates the caller itself.
    """
    choose = requirement if callable(requirement) else None
    fixed = None if callable(requirement) else requirement
    su.check(*among, *([fixed] if fixed else []))
    check_kind(body)

    async def read(connection: Connection) -> Mapping[str, object]:
        return await (values(connection) if values else read_values(connection, body))

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        try:
            raw, shown = su.read_shown(cast("Scope", connection.scope))
            if raw is None:
                raise MissingToken(takes_dpop=su.takes_dpop)
            bound = await read(connection) if choose or (fixed and fixed.bind) else {}
            wanted = choose(bound) if choose else fixed
            if wanted is not None:
                connection.state.stepup = await su.admit(raw, wanted, bound, shown)
        except SdkError as error:
            raise RefusedException(error) from error

    return guard


def verified_token(connection: Connection) -> VerifiedToken:
    """Return the token that the guard admitted.

    Raises:
        LookupError: If no guard stands before this route.
    """
    token: VerifiedToken | None = connection.state.get("stepup")
    if token is None:
        raise LookupError("this route has no step_up guard")
    return token


async def read_values(connection: Connection, body: BodyKind = "json") -> Mapping[str, object]:
    """Read what may be bound from the path's parameters and the members of one kind of body.

    Raises:
        BindingError: If there is another kind of body, or a value could be read in two ways.
    """
    path = {name: str(value) for name, value in connection.path_params.items()}
    if not isinstance(connection, Request):
        return path
    fields = fields_of(
        body,
        connection.headers.getall("content-type", []),
        await connection.body(),
        connection.headers.getall("content-encoding", []),
    )
    refuse_two_places(path, fields, connection.scope["query_string"])
    return {**path, **fields}


def answer_refused(_request: Request[Any, Any, Any], refused: RefusedException) -> Response[bytes]:
    """Answer with the problem document of the SDK's error."""
    return answer_error(_request, refused.error)


def answer_error(_request: Request[Any, Any, Any], error: SdkError) -> Response[bytes]:
    """Answer with the problem document of an error that a route let pass."""
    headers = {k: v for k, v in error.headers.items() if k != "Content-Type"}
    return Response(
        error.body,
        status_code=error.status,
        headers=headers,
        media_type="application/problem+json",
    )


exception_handlers: ExceptionHandlersMap = {
    RefusedException: answer_refused,
    SdkError: answer_error,
}
"""For `Litestar(exception_handlers=...)`."""
