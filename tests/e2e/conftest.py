"""The whole service as `stepup dev` starts it, and a real browser."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.people import Person, forget_authenticators

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
START_SECONDS = 60
# A page that takes longer is broken, also on a busy machine.
PATIENCE_MS = 10_000


class Service:
    """A running `stepup dev` and what its ready file says."""

    def __init__(self, folder: Path, *options: str) -> None:
        ready = folder / "ready.json"
        self.log = folder / "log.txt"
        command = [sys.executable, "-m", "stepup", "dev", "--port", "0", *options]
        command += ["--data-dir", str(folder / "data"), "--ready-file", str(ready)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"the service did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)
        self.ready: dict[str, Any] = json.loads(ready.read_text())

    @property
    def issuer(self) -> str:
        return self.ready["issuer"]

    @property
    def bank(self) -> str:
        return self.ready["demo"]["bank"]

    @property
    def admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.ready['admin']['token']}"}

    @property
    def client(self) -> tuple[str, str]:
        entry = self.ready["clients"][0]
        return entry["client_id"], entry["client_secret"]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the service did not stop:\n{self.log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service"), "--set", "drain_delay=0s")
    yield running
    running.stop()


# Playwright's loop runs in this thread while it is open, and asynchronous tests need it back.
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
def person(page: Page, service: Service) -> Person:
    """Alice in front of the browser, with nothing enrolled."""
    forget_authenticators(service.issuer, service.admin, "alice")
    return Person(page, service.issuer, service.bank)
