"""Routes that are served past the framework, because it costs more than they do.

A route names its answer in `opt`; Litestar keeps the route, so that it stands in the OpenAPI
document and answers other methods, and this serves the requests for it. Which routes deserve it is
decided by `make bench` (docs/performance.md).
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from litestar import Litestar, Request, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from stepup.http.error_forms import ErrorForms
from stepup.ports import Ports

Answer = Callable[[Request[Any, Any, Any], Ports], Awaitable[object]]
"""Authenticates the caller, reads the body and returns what is written as JSON with a 200."""


class Written(NamedTuple):
    """An answer that is text already, and is no JSON."""

    body: bytes
    media_type: bytes


_OPTION = "answers_directly"


def answers_directly(answer: Answer) -> dict[str, Any]:
    """Return the `opt` of a route that `answer` serves; the route's own function calls it too."""
    return {_OPTION: answer}


def framed(answer: Written) -> Response[bytes]:
    """Return the same answer for the framework to send."""
    return Response(answer.body, media_type=answer.media_type.decode("ascii"))


class _Direct(NamedTuple):
    handler: HTTPRouteHandler
    path: str
    answer: Answer


class DirectRoutes:
    """Stands before the framework and takes the requests that it need not see."""

    def __init__(self, app: Litestar, framework: ASGIApp, ports: Ports, errors: ErrorForms) -> None:
        self._framework = framework
        self._ports = ports
        self._errors = errors
        self._routes = {
            (method, route.path): _Direct(handler, route.path, handler.opt[_OPTION])
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for method, (handler, _) in route.route_handler_map.items()
            if _OPTION in handler.opt
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        route = (
            self._routes.get((scope["method"], scope["path"]))
            if scope["type"] == ScopeType.HTTP
            else None
        )
        if route is None:
            await self._framework(scope, receive, send)
            return
        # What the body limit, the metrics and the log line look for.
        scope["route_handler"], scope["path_template"] = route.handler, route.path
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            answer = await route.answer(request, self._ports)
            body, media_type = _written(answer)
        except Exception as error:  # noqa: BLE001  as the framework: every error has a form
            response = self._errors(request, error).to_asgi_response(None, request)
            await response(scope, receive, send)
            return
        headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _written(answer: object) -> Written:
    if isinstance(answer, Written):
        return answer
    return Written(msgspec.json.encode(answer), b"application/json")
