"""Codes work in a browser that runs no script, and with nothing but a keyboard."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.people import Person, add_virtual_authenticator, forget_authenticators
from tests.support.service import RunningService

pytestmark = pytest.mark.e2e


@pytest.fixture
def scriptless(browser: Browser, service: RunningService) -> Iterator[Person]:
    forget_authenticators(service.issuer, service.admin, "bob")
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    person = Person(context.new_page(), service.issuer, service.bank)
    person.name = "Bob"
    yield person
    context.close()


def test_a_transfer_is_confirmed_without_javascript(scriptless: Person):
    app = scriptless.add_app()
    scriptless.sign_in_to_bank()
    scriptless.send("500")
    scriptless.type_code(app.now())
    expect(scriptless.page.get_by_role("heading", name="Sent to ACME GmbH")).to_be_visible()


def test_a_passkey_page_says_that_it_needs_javascript(scriptless: Person, service: RunningService):
    page = scriptless.page
    scriptless.open_account("/account/add/passkey")
    # Chromium's switch leaves noscript undrawn, so its text is looked for in the markup.
    assert re.search("<noscript>.*needs JavaScript", page.content(), re.DOTALL)
    expect(page.locator("form[data-su-passkey]")).to_be_hidden()


def test_a_transfer_is_confirmed_by_keyboard_alone(person: Person, page: Page):
    add_virtual_authenticator(page)
    person.add_passkey()
    app = person.add_app_with_passkey()
    person.sign_in_to_bank()
    person.send("500")
    focus(page, "Try another way")
    page.keyboard.press("Enter")
    page.wait_for_url("**/methods")
    focus(page, "Use your authenticator app")
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(app.now())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sent to ACME GmbH")).to_be_visible()


def focus(page: Page, text: str) -> None:
    """Press Tab until the element with the text has the focus."""
    expect(page.get_by_role("link", name=text)).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.querySelector(':focus')?.textContent ?? ''")
        if text in focused:
            return
    pytest.fail(f"{text!r} cannot be reached with Tab")
