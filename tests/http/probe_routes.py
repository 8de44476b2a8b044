"""Routes that only tests serve: each shows one thing the frame does."""

import re

import msgspec
from litestar import MediaType, Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.client import Client
from stepup.domain.errors import StepUpError
from stepup.domain.ids import SubjectId
from stepup.http import health, openapi, schemas, well_known
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.form import Form
from stepup.http.headers import page_policy
from stepup.http.json_body import read_json
from stepup.http.middleware import reads_up_to
from stepup.http.problems import Problem
from stepup.http.request_log import request_log

FAILURES: dict[str, Exception] = {}
"""What `/fail/{name}` raises; a test puts it here."""


class Order(msgspec.Struct):
    name: str
    amount: int = 0


def draw_error_page(request: Request, problem: Problem) -> Response:
    if problem.code == "session_not_found":
        raise RuntimeError("the template is broken")
    text = f"<h1>{problem.title}</h1><p>{request_log(request).request_id}</p>"
    return Response(text, status_code=problem.status, media_type=MediaType.HTML)


@get(["/fail/{name:str}", "/oauth2/fail/{name:str}", "/c/fail/{name:str}"])
async def fail(name: FromPath[str]) -> None:
    raise FAILURES[name]


@get("/page/{name:str}")
async def page(name: FromPath[str]) -> Response[str]:
    return Response("<p>hello</p>", media_type=MediaType.HTML)


@get("/own-policy")
async def own_policy() -> Response[str]:
    policy = page_policy("https://bank.example/callback")
    headers = {"content-security-policy": policy, "cache-control": "public, max-age=60"}
    return Response("<p>hello</p>", media_type=MediaType.HTML, headers=headers)


@get("/known-facts")
async def known_facts(request: Request) -> dict[str, str]:
    log = request_log(request)
    log.subject = SubjectId("digest-of-alice")
    log.decision = "deny"
    return {}


@post("/orders", status_code=200)
async def order(request: Request) -> Order:
    return await read_json(request, Order)


@post("/framework-orders", status_code=200)
async def framework_order(data: JSONBody[Order]) -> Order:
    return data


@put("/large", opt=reads_up_to(1024 * 1024))
async def large(request: Request) -> dict[str, int]:
    return {"size": len(await request.body())}


@post(["/oauth2/echo"], status_code=200)
async def echo(form: NamedDependency[Form], form_caller: NamedDependency[Client]) -> dict[str, str]:
    return {"caller": form_caller.client_id, **form}


@post("/called", status_code=200)
async def called(caller: NamedDependency[Client]) -> dict[str, str]:
    return {"caller": caller.client_id}


@post(
    "/administered",
    status_code=200,
    opt=performs(AdminAction.POLICY_READ),
    guards=[administrators_only],
)
async def administered(administrator: NamedDependency[Administrator]) -> dict[str, str]:
    return {"administrator": administrator.id}


def failing_with(error: Exception) -> str:
    """Make `/fail/<returned name>` raise this error."""
    label = error.code if isinstance(error, StepUpError) else type(error).__name__
    name = re.sub(r"[^a-z_]", "", label.lower())
    FAILURES[name] = error
    return name


probes = Router(
    "/",
    route_handlers=[
        fail,
        page,
        own_policy,
        known_facts,
        order,
        framework_order,
        large,
        echo,
        called,
        administered,
    ],
)

FRAME = (well_known.router, schemas.router, health.router, openapi.router, probes)
"""The frame's own routes and these; the rest of the interface has tests of its own."""
