"""A browser that has passed a ceremony: the second action within the window asks nothing."""

import secrets
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from stepup.crypto.digests import code_challenge_of
from tests.e2e.people import Person
from tests.support.service import RunningService

pytestmark = pytest.mark.e2e

SECOND_LEVEL = "urn:stepup:acr:2"
# What the bank says to an answer that none of its transfers waits for.
BACK = "There is nothing to finish here"


class Client:
    """The bank's own backend, asking for a level; the browser's answers are caught on their way."""

    def __init__(self, page: Page, service: RunningService) -> None:
        self.page, self.issuer = page, service.issuer
        self.callback = f"{service.bank}/callback"
        self.answers: list[dict[str, str]] = []
        self._http = httpx2.Client(base_url=service.issuer, auth=service.client(), trust_env=False)
        self._verifiers: dict[str, str] = {}
        page.on("request", self._note)
        # The bank's own page reads answers from its query alone.
        page.route(self.callback, self._take_form)

    def close(self) -> None:
        self._http.close()

    def ask(self, sub: str = "alice", **changes: str) -> None:
        """Push a request and send the browser there; a parameter that is empty is left out."""
        state, verifier = secrets.token_urlsafe(8), secrets.token_urlsafe(32)
        self._verifiers[state] = verifier
        form = {
            "response_type": "code",
            "redirect_uri": self.callback,
            "state": state,
            "code_challenge": code_challenge_of(verifier),
            "code_challenge_method": "S256",
            "acr_values": SECOND_LEVEL,
            "login_hint": sub,
        } | changes
        form = {name: value for name, value in form.items() if value}
        pushed = self._http.post("/oauth2/par", data=form)
        assert pushed.status_code == 201, pushed.text
        query = {"client_id": "bank", "request_uri": pushed.json()["request_uri"]}
        self.page.goto(f"{self.issuer}/oauth2/authorize?{urlencode(query)}")

    def token(self) -> dict:
        """Redeem the last answer and look at what it gave."""
        answer = self.answers[-1]
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self.callback,
            "code_verifier": self._verifiers[answer["state"]],
        }
        redeemed = self._http.post("/oauth2/token", data=form)
        assert redeemed.status_code == 200, redeemed.text
        token = redeemed.json()["access_token"]
        told: dict = self._http.post("/oauth2/introspect", data={"token": token}).json()
        return told

    def _note(self, request: Request) -> None:
        if request.url.startswith(self.callback):
            sent = request.post_data or urlsplit(request.url).query
            self.answers.append({name: values[0] for name, values in parse_qs(sent).items()})

    def _take_form(self, route: Route) -> None:
        route.fulfill(body=f"<h1>{BACK}</h1>", content_type="text/html")


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test when a script or a policy of ours complains."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    # The bank says 400 to an answer that it does not wait for.
    assert [c for c in complaints if "status of 400" not in c] == []


@pytest.fixture
def client(page: Page, service: RunningService) -> Iterator[Client]:
    opened = Client(page, service)
    yield opened
    opened.close()


@pytest.fixture
def proved(person: Person, client: Client) -> Client:
    """Alice has confirmed in this browser who she is."""
    app = person.add_app()
    client.ask()
    expect(person.page.get_by_role("heading")).to_contain_text("Confirm it")
    person.type_code(app.now())
    expect_back(person.page)
    return client


def expect_back(page: Page) -> None:
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()


def test_a_second_action_within_the_window_asks_nothing(proved: Client, page: Page):
    first = proved.token()
    shown: list[str] = []
    page.on("framenavigated", lambda frame: shown.append(frame.url))

    proved.ask()

    expect_back(page)
    assert not [url for url in shown if "/c/" in url]
    second = proved.token()
    assert (second["acr"], second["amr"]) == (first["acr"], first["amr"])
    assert second["auth_time"] == first["auth_time"]
    assert second["jti"] != first["jti"]


def test_a_request_for_a_ceremony_asks_again(proved: Client, page: Page):
    proved.ask(max_age="0")
    expect(page.locator("#code")).to_be_visible()


def test_a_login_that_shows_nothing_is_refused_until_something_is_proved(
    person: Person, client: Client, page: Page
):
    person.add_app()
    client.ask(prompt="none")
    expect_back(page)
    assert client.answers[-1]["error"] == "interaction_required"
    assert client.answers[-1]["iss"] == client.issuer


def test_the_answer_sends_itself_as_a_form(proved: Client, page: Page):
    proved.ask(response_mode="form_post")
    expect_back(page)
    assert page.url == proved.callback
    assert proved.token()["active"]


def test_consent_is_a_word_and_a_button(proved: Client, page: Page):
    proved.ask(prompt="consent")
    expect(page.get_by_role("heading")).to_contain_text("Do you agree")
    page.get_by_role("button", name="Agree").click()
    expect_back(page)
    assert proved.token()["active"]


def test_whom_the_client_does_not_name_signs_in_first(proved: Client, page: Page):
    proved.page.context.clear_cookies()
    proved.ask(login_hint="")
    choice = page.get_by_role("button", name="Alice")
    expect(choice).to_be_visible()
    choice.click()
    expect(page.locator("#code")).to_be_visible()


def test_without_javascript_the_answer_has_a_button(
    browser: Browser, person: Person, service: RunningService
):
    app = person.add_app()
    opened = browser.new_context(java_script_enabled=False)
    page = opened.new_page()
    client = Client(page, service)
    try:
        client.ask(response_mode="form_post")
        Person(page, service.issuer, service.bank).type_code(app.now())
        page.get_by_role("button", name="Continue to").click()
        expect_back(page)
        assert client.token()["active"]
    finally:
        client.close()
        opened.close()
