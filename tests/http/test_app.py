"""The whole interface: what is promised is served, and described."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from litestar import Litestar

from stepup.http.app import create_app
from stepup.http.health import Readiness
from tests.support.application import calling, memory_ports

API = ("/v1/", "/access/", "/oauth2/")


@pytest.fixture(scope="module")
def app() -> Litestar:
    return create_app(memory_ports(), readiness=Readiness({}))


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    async with calling(app) as client:
        yield client


@pytest.mark.parametrize(
    "document",
    ["/.well-known/oauth-authorization-server", "/.well-known/authzen-configuration"],
)
async def test_every_endpoint_in_the_metadata_is_served(app, http, document):
    metadata = (await http.get(document)).json()

    promised = {
        urlsplit(url).path
        for name, url in metadata.items()
        if name.endswith("_endpoint") or name == "jwks_uri"
    }
    assert promised
    assert promised <= {route.path for route in app.routes}


async def test_every_api_route_describes_its_errors(http):
    paths = (await http.get("/openapi.json")).json()["paths"]

    silent = [
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method, operation in operations.items()
        # Browsers come to the authorization endpoint, and are told on a page.
        if path.startswith(API)
        if "503" not in operation["responses"]
    ]
    assert silent == []


async def test_every_api_route_describes_what_it_does(http):
    paths = (await http.get("/openapi.json")).json()["paths"]

    assert all(
        operation.get("description")
        for operations in paths.values()
        for operation in operations.values()
    )


async def test_stores_are_open_before_they_are_asked_how_they_are():
    opened = False

    async def check() -> None:
        assert opened

    @asynccontextmanager
    async def stores(_app: Litestar) -> AsyncIterator[None]:
        nonlocal opened
        opened = True
        yield

    readiness = Readiness({"redis": check})
    app = create_app(memory_ports(), readiness=readiness, lifespan=[stores])
    async with app.lifespan():
        assert readiness.report(memory_ports()).status == "ready"
