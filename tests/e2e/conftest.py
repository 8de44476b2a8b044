"""The whole service as `stepup dev` starts it, and a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.cluster import Cluster, running_cluster
from tests.e2e.people import Person, forget_authenticators
from tests.support.service import RunningService, running_service

CHROMIUM = "/usr/bin/chromium"
# Without these, Chromium asks for hosts that a closed machine does not reach, and waits.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
)
# A page that takes longer is broken, also on a busy machine.
PATIENCE_MS = 10_000


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service, its engines, the bank and its identity provider, shared by every test."""
    folder = tmp_path_factory.mktemp("service")
    with running_service(folder, "--set", "drain_delay=0s") as running:
        yield running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two services, one of them with two workers, on engines that may be stopped."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(locale="en-US")
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test when the browser complains about anything."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    # A refused answer is an answer: 422 is what a wrong code gets.
    assert [c for c in complaints if not re.search(r"status of 4(22|29|03|04)", c)] == []


@pytest.fixture
def person(page: Page, service: RunningService) -> Person:
    """Alice in front of the browser, with nothing enrolled."""
    forget_authenticators(service.issuer, service.admin, "alice")
    return Person(page, service.issuer, service.bank)
