"""The frame of the application with a few routes of the tests' own."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import structlog
from litestar import Litestar
from structlog.testing import capture_logs

from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.ports import Ports
from tests.http.flow import Flow
from tests.http.probe_routes import FRAME, draw_error_page
from tests.support.application import calling, memory_ports
from tests.support.one_app import app_of
from tests.support.world import World


@pytest.fixture
def ports() -> Ports:
    return memory_ports()


@pytest.fixture
def readiness() -> Readiness:
    return Readiness({})


@pytest.fixture
def framed(ports: Ports, readiness: Readiness) -> Litestar:
    """The frame alone, with the routes of `probe_routes`."""
    return create_app(ports, readiness=readiness, routers=FRAME, page_errors=draw_error_page)


@pytest.fixture
async def frame(framed: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    async with calling(framed) as client:
        yield client


@pytest.fixture
def log_lines() -> Iterator[list[dict]]:
    """What is logged while the test runs."""
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def world() -> World:
    """The demo bank in memory."""
    return World()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """The whole service over the world's ports, as one browser or client sees it."""
    async with app_over(world.ports) as client:
        yield client


@pytest.fixture
async def flow(http: httpx2.AsyncClient, world: World) -> Flow:
    """Steps of the main job for alice, who has an authenticator app."""
    await world.enroll_app()
    return Flow(http, world)


def app_over(ports: Ports) -> httpx2.AsyncClient:
    """The whole service over some ports."""
    return calling(app_of(ports))
