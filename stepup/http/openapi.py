"""The OpenAPI document: served as JSON at one path, and the words routes describe themselves with.

No page comes with it: each of Litestar's loads scripts from a stranger's network.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Server,
)
from typing_extensions import override

import stepup
from stepup.domain import admin_errors, errors
from stepup.domain.errors import StepUpError
from stepup.domain.site import Site
from stepup.http.error_forms import PROBLEM_TYPE
from stepup.http.problems import OAUTH_CODES, STATUS, oauth_status

CLIENT_SECURITY: list[dict[str, list[str]]] = [{"client": []}]
"""The `security` of a route that a client calls with its secret."""
ADMIN_SECURITY: list[dict[str, list[str]]] = [{"admin": []}]
"""The `security` of a route that an administrator calls."""
TOKEN_SECURITY: list[dict[str, list[str]]] = [{"token": []}]
"""The `security` of a route that whoever holds an access token calls."""

_USUAL: tuple[type[StepUpError], ...] = (
    errors.InvalidRequestError,
    errors.DependencyUnavailableError,
)
_USUAL_OAUTH: tuple[type[StepUpError], ...] = (*_USUAL, errors.ClientAuthenticationError)
_REFERENCE = "#/components/schemas/{name}"


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem; the last members depend on the code."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    tries_left: int | None = None
    retry_after: int | None = None
    findings: list[Any] | None = None
    invalid: list[dict[str, str]] | None = None
    scope: str | None = None
    acr_values: str | None = None
    max_age: int | None = None
    action: str | None = None
    revision: int | None = None
    digest: str | None = None
    base: int | None = None
    active: int | None = None
    approvals: int | None = None
    needed: int | None = None


class OAuthErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An RFC 6749 section 5.2 error."""

    error: str
    error_description: str


def problem_responses(*causes: type[StepUpError]) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route that answers errors as problems.

    A malformed request and a store that is away can happen to every route and are always in it.
    """
    described = [(STATUS[cause], cause.code, cause.message) for cause in (*_USUAL, *causes)]
    return _responses(described, ProblemDocument, PROBLEM_TYPE)


def admin_responses(*causes: type[StepUpError]) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route behind the administrators' gate."""
    at_the_gate = (
        admin_errors.NotAuthorizedError,
        admin_errors.InsufficientUserAuthenticationError,
        admin_errors.InsufficientScopeError,
        errors.ActionDeniedError,
    )
    return problem_responses(*at_the_gate, *causes)


def oauth_responses(*causes: type[StepUpError]) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route that answers errors as RFC 6749 says."""
    described = [
        (oauth_status(STATUS[cause]), OAUTH_CODES.get(cause, "invalid_request"), cause.message)
        for cause in (*_USUAL_OAUTH, *causes)
    ]
    return _responses(described, OAuthErrorDocument, "application/json")


def returns(
    shape: Any, description: str, *, status: int = 200, not_found: bool = False
) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route whose answer its annotation does not tell.

    `not_found` for a route that serves some of its paths only.
    """
    answer = ResponseSpec(shape, generate_examples=False, description=description)
    lost = [(404, "not_found", "There is nothing here.")] if not_found else []
    return {status: answer, **_responses(lost, ProblemDocument, PROBLEM_TYPE)}


def _responses(
    described: Iterable[tuple[int, str, str]], shape: type[msgspec.Struct], media_type: str
) -> dict[int, ResponseSpec]:
    texts: dict[int, list[str]] = {}
    for status, code, message in described:
        line = f"`{code}`: {message}"
        if line not in texts.setdefault(int(status), []):
            texts[int(status)].append(line)
    return {
        status: ResponseSpec(
            shape, generate_examples=False, description="\n\n".join(lines), media_type=media_type
        )
        for status, lines in sorted(texts.items())
    }


# --- what a route reads, where it reads it by itself ------------------------------------------


class _Described(Operation):
    """An operation that knows the shape of its body."""

    shape: ClassVar[type[msgspec.Struct]]


def reads_json(shape: type[msgspec.Struct], *, names_revision: bool = False) -> type[Operation]:
    """Return the `operation_class` of a route that calls `read_json` with this shape.

    `names_revision` for one that calls `seen_revision` besides.
    """

    @dataclass
    class ReadsJson(_Described):
        def __post_init__(self) -> None:
            reference = Reference(ref=_REFERENCE.format(name=shape.__name__))
            self.request_body = _body("application/json", reference)
            if names_revision:
                self.parameters = [*(self.parameters or []), _IF_MATCH]

    ReadsJson.shape = shape
    return ReadsJson


def reads_form(
    required: tuple[str, ...] = (), optional: tuple[str, ...] = (), *, takes_proof: bool = False
) -> type[Operation]:
    """Return the `operation_class` of a route that calls `read_form`.

    `takes_proof` for one that has the dependency `proof` besides.
    """
    text = Schema(type=OpenAPIType.STRING)
    schema = Schema(
        type=OpenAPIType.OBJECT,
        required=list(required) or None,
        properties=dict.fromkeys((*required, *optional), text),
    )

    @dataclass
    class ReadsForm(Operation):
        def __post_init__(self) -> None:
            self.request_body = _body("application/x-www-form-urlencoded", schema)
            if takes_proof:
                self.parameters = [*(self.parameters or []), _DPOP]

    return ReadsForm


def reads_query(required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> type[Operation]:
    """Return the `operation_class` of a route that calls `read_query`."""
    text = Schema(type=OpenAPIType.STRING)
    described = [
        Parameter(name=name, param_in="query", schema=text, required=name in required)
        for name in (*required, *optional)
    ]

    @dataclass
    class ReadsQuery(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *described]

    return ReadsQuery


_IF_MATCH = Parameter(
    name="If-Match",
    param_in="header",
    schema=Schema(type=OpenAPIType.STRING),
    required=True,
    description="The ETag with which the caller has read what he changes.",
)


def _optional_header(name: str, description: str) -> Parameter:
    text = Schema(type=OpenAPIType.STRING)
    return Parameter(name=name, param_in="header", schema=text, description=description)


_DPOP = _optional_header("DPoP", "A proof that the client holds a key (RFC 9449 section 4).")
_MAY_NAME_VERSION = [
    _optional_header("If-Match", "The ETag of the version that is to be replaced."),
    _optional_header("If-None-Match", "`*` if there is no version yet."),
]


@dataclass
class MayNameVersion(Operation):
    """The `operation_class` of a route that calls `replaced_version` and reads no body."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or []), *_MAY_NAME_VERSION]


@dataclass
class NamesRevision(Operation):
    """The `operation_class` of a route that calls `seen_revision` and reads no body."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or []), _IF_MATCH]


def _body(media_type: str, schema: Schema | Reference) -> RequestBody:
    return RequestBody(content={media_type: OpenAPIMediaType(schema=schema)}, required=True)


# --- the document -----------------------------------------------------------------------------


class _NoPages(Router):
    """A router that takes none of the pages Litestar would put beside the document."""

    @override
    def register(self, value: Any) -> list[Any]:
        return []


def openapi_config(site: Site) -> OpenAPIConfig:
    """Say what stands in the document besides the routes."""
    return OpenAPIConfig(
        title="stepup",
        version=stepup.__version__,
        summary="Step-up authentication beside any identity provider",
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "client": SecurityScheme(
                    type="http",
                    scheme="basic",
                    description="A client's identifier and secret. A client with a key or a "
                    "certificate, and a public one, authenticates as its registration says.",
                ),
                "token": SecurityScheme(
                    type="http", scheme="bearer", description="An access token of ours."
                ),
                "receiver": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A token of a receiver's own, from the grant client_credentials.",
                ),
                "transmitter": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="The token that an identity provider sends its events with.",
                ),
                "admin": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="An administrator's elevated token, or a pipeline's key.",
                ),
            }
        ),
        servers=[Server(url=site.issuer)],
        openapi_router=_NoPages("/openapi.json", route_handlers=[], include_in_schema=False),
    )


def document(openapi: OpenAPI) -> dict[str, Any]:
    """Write the document, with the shapes that routes read by themselves."""
    written = openapi.to_schema()
    shapes = [op.shape for op in _operations(openapi) if isinstance(op, _Described)]
    _, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    known: dict[str, Any] = written.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in components.items():
        known.setdefault(name, schema)
    return written


def _operations(openapi: OpenAPI) -> Iterable[Operation]:
    items: Mapping[str, PathItem] = openapi.paths or {}
    for item in items.values():
        for field in fields(item):
            value = getattr(item, field.name)
            if isinstance(value, Operation):
                yield value


@get("/openapi.json", include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the OpenAPI document of this release."""
    state = request.app.state
    if "openapi" not in state:
        state["openapi"] = msgspec.json.encode(document(request.app.openapi_schema))
    return Response(
        state["openapi"],
        headers={"cache-control": "public, max-age=300"},
        media_type="application/json",
    )


router = Router("/", route_handlers=[openapi_document])
