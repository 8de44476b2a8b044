"""A guard in front of any ASGI application, by a map of routes.

    app = StepUpMiddleware(app, su, {"POST /payments": PAYMENT, "DELETE /projects/{id}": DELETION})

Routes that are not in the map pass untouched. A path that can be read in two ways, such as one with
`//` or an encoded slash, is refused wherever it leads: that is how guards are walked around.
Bodies are JSON; routes that take a form instead are named: `forms={"POST /payments"}`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stepup.sdk.bodies import MAX_BODY, BodyKind, fields_of, refuse_two_places
from stepup.sdk.client import StepUp
from stepup.sdk.errors import AsgiApp, BindingError, Message, Receive, Scope, SdkError, Send
from stepup.sdk.requirement import Requirement

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)").fullmatch
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}").fullmatch
# A server and a framework may read these differently from us.
_AMBIGUOUS = re.compile(r"//|/\.\.?(/|$)|\\|[\x00-\x1f\x7f;]|%2f|%5c|%2e", re.IGNORECASE).search


@dataclass(frozen=True, slots=True)
class _Route:
    """One line of the map."""

    method: str
    segments: tuple[str, ...]
    requirement: Requirement
    body: BodyKind

    def parameters(self, method: str, segments: tuple[str, ...]) -> dict[str, str] | None:
        """Return the values of the path's parameters; None when the route is another one."""
        if method != self.method or len(segments) != len(self.segments):
            return None
        found: dict[str, str] = {}
        for template, segment in zip(self.segments, segments, strict=True):
            parameter = _PARAMETER(template)
            if parameter is not None and segment:
                found[parameter[1]] = segment
            elif template != segment:
                return None
        return found

    def overlaps(self, other: "_Route") -> bool:
        """Say whether one request could mean both routes."""
        return (
            self.method == other.method
            and len(self.segments) == len(other.segments)
            and all(
                a == b or _PARAMETER(a) or _PARAMETER(b)
                for a, b in zip(self.segments, other.segments, strict=True)
            )
        )


class StepUpMiddleware:
    """Lets a request through when its token is good for its route.

    The verified token is at `scope["state"]["stepup"]`. Bound values come from the path's
    parameters and from the members of a JSON body, or the fields of a form on the routes named in
    `forms`, and never from the query; a once-only token is used up.
    """

    def __init__(
        self,
        app: AsgiApp,
        su: StepUp,
        routes: Mapping[str, Requirement],
        *,
        forms: Collection[str] = (),
    ) -> None:
        su.check(*routes.values())
        if isinstance(forms, str) or not set(forms) <= routes.keys():
            raise ValueError("forms is a collection of routes, each as it stands in the map")
        self._app = app
        self._su = su
        self._routes = tuple(
            _route(name, requirement, "form" if name in forms else "json")
            for name, requirement in routes.items()
        )
        for i, first in enumerate(self._routes):
            for second in self._routes[i + 1 :]:
                if first.overlaps(second):
                    raise ValueError(f"two routes could be meant by one request: {first}, {second}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer in the application's place."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            receive = await self._guard(scope, receive)
        except SdkError as error:
            await _refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _guard(self, scope: Scope, receive: Receive) -> Receive:
        match = self._match(scope)
        if match is None:
            return receive
        route, parameters = match
        values: dict[str, object] = {}
        token, shown = self._su.read_shown(scope)
        if route.requirement.bind and token:
            body = await _body(receive)
            receive = _replay(body, receive)
            fields = fields_of(
                route.body,
                _fields(scope, b"content-type"),
                body,
                _fields(scope, b"content-encoding"),
            )
            refuse_two_places(parameters, fields, scope.get("query_string", b""))
            values = {**parameters, **fields}
        verified = await self._su.admit(token, route.requirement, values, shown)
        scope.setdefault("state", {})["stepup"] = verified
        return receive

    def _match(self, scope: Scope) -> tuple[_Route, dict[str, str]] | None:
        raw = scope.get("raw_path")
        path: str = scope["path"]
        if _AMBIGUOUS(path) or (raw is not None and _AMBIGUOUS(raw.decode("latin-1"))):
            raise BindingError("the path can be read in more than one way")
        # A WebSocket opens with GET, HEAD is GET without a body, and some frameworks take "post".
        method = scope.get("method", "GET").upper()
        method = "GET" if method == "HEAD" else method
        root: str = scope.get("root_path", "")
        readings = {path, path[len(root) :]} if root and path.startswith(root) else {path}
        for reading in readings:
            segments = tuple(reading.rstrip("/").split("/"))
            for route in self._routes:
                parameters = route.parameters(method, segments)
                if parameters is not None:
                    return route, parameters
        return None


def _route(name: str, requirement: Requirement, body: BodyKind) -> _Route:
    form = _ROUTE(name)
    if form is None or _AMBIGUOUS(form[2]):
        raise ValueError(f'a route reads like "POST /payments/{{id}}", not {name!r}')
    segments = tuple(form[2].rstrip("/").split("/"))
    for segment in segments:
        if ("{" in segment or "}" in segment) and not _PARAMETER(segment):
            raise ValueError(f"a parameter is a whole segment of the path: {name!r}")
    return _Route(form[1], segments, requirement, body)


def _fields(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _header(scope: Scope, name: bytes) -> str | None:
    values = _fields(scope, name)
    # Two fields of one name: whoever reads the other one would see something else.
    if len(values) > 1:
        raise BindingError(f"the field {name.decode()} was sent twice")
    return values[0] if values else None


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BindingError("the request ended before its body")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise BindingError("the body is too large to be confirmed")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def _refuse(error: SdkError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": error.title})
        return
    await error.to_asgi()(scope, receive, send)
