"""Nobody but an administrator reaches `/v1/admin`, by any of its routes."""

import hashlib

import httpx2
import msgspec
import pytest

from stepup.domain.administrator import AdminAction
from stepup.http.app import ROUTERS
from tests.http.conftest import app_over
from tests.support.world import World

TOKEN = "admin-token"


def administered_routes() -> list[tuple[str, str]]:
    """Every method and path under `/v1/admin`, with something in the place of its parameters."""
    found = []
    for router in ROUTERS:
        for route in router.routes:
            if route.path.startswith("/v1/admin"):
                path = "/".join(
                    "x" if part.startswith("{") else part for part in route.path.split("/")
                )
                found += [(method, path) for method in sorted(route.methods - {"OPTIONS"})]
    return found


@pytest.fixture
async def administered(world: World):
    digest = hashlib.sha256(TOKEN.encode()).digest()
    site = msgspec.structs.replace(world.ports.site, admin_token_digest=digest)
    async with app_over(world.ports._replace(site=site)) as client:
        yield client


def test_every_route_says_what_it_does():
    silent = [
        (handler.handler_name, router.path)
        for router in ROUTERS
        for route in router.routes
        if route.path.startswith("/v1/admin")
        for handler in route.route_handlers
        if "OPTIONS" not in handler.http_methods
        and not isinstance(handler.opt.get("admin_action"), AdminAction)
    ]
    assert silent == []


def test_there_are_routes_to_protect():
    assert ("PUT", "/v1/admin/policy") in administered_routes()
    assert ("POST", "/v1/admin/subjects/x/authenticators") in administered_routes()


@pytest.mark.parametrize(("method", "path"), administered_routes())
@pytest.mark.parametrize("authorization", [None, "Bearer wrong"], ids=["no token", "wrong token"])
async def test_without_the_token_no_route_is_reached(
    administered: httpx2.AsyncClient, method: str, path: str, authorization: str | None
):
    headers = {} if authorization is None else {"authorization": authorization}

    answer = await administered.request(method, path, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authorized")


async def test_a_client_s_secret_does_not_make_an_administrator(administered: httpx2.AsyncClient):
    answer = await administered.get("/v1/admin/policy", auth=("bank", TOKEN))

    assert answer.status_code == 401


async def test_the_token_opens_the_gate(administered: httpx2.AsyncClient):
    headers = {"authorization": f"Bearer {TOKEN}"}

    answer = await administered.get("/v1/admin/subjects/alice/authenticators", headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), administered_routes())
async def test_a_deployment_without_a_token_has_no_administrators(
    http: httpx2.AsyncClient, method: str, path: str
):
    answer = await http.request(method, path, headers={"authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 401
