"""The main job in a browser: a person at a bank sends money and proves who they are."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.people import Person, add_virtual_authenticator

pytestmark = pytest.mark.e2e


def expect_receipt(page: Page, *, proved_by: str) -> None:
    expect(page.get_by_role("heading", name="Sent to ACME GmbH")).to_be_visible()
    expect(page.get_by_text(re.compile(proved_by)).first).to_be_visible()


def test_a_small_transfer_asks_for_nothing(person: Person, page: Page):
    person.sign_in_to_bank()
    person.send("99")
    expect(page.get_by_role("heading", name="Sent to ACME GmbH")).to_be_visible()


def test_a_transfer_is_confirmed_with_an_authenticator_app(person: Person, page: Page):
    app = person.add_app()
    person.sign_in_to_bank()
    person.send("500")
    expect(page.get_by_role("heading")).to_contain_text(re.compile("Confirm it.s you"))
    expect(page.get_by_text("€500.00")).to_be_visible()
    expect(page.get_by_text("ACME GmbH")).to_be_visible()
    person.type_code("000000")
    expect(page.get_by_role("alert")).to_contain_text("4 tries left")
    person.type_code(app.now())
    expect_receipt(page, proved_by="authenticator app")


def test_a_large_transfer_is_confirmed_with_a_passkey(person: Person, page: Page):
    add_virtual_authenticator(page)
    person.add_passkey()
    person.sign_in_to_bank()
    person.send("5000")
    page.get_by_role("button", name="Continue with passkey").click()
    expect_receipt(page, proved_by="passkey")


def test_an_app_is_not_enough_for_a_large_transfer(person: Person, page: Page):
    person.add_app()
    person.sign_in_to_bank()
    person.send("5000")
    expect(page.locator("#code")).to_have_count(0)
    page.get_by_role("button", name=re.compile("return to")).or_(
        page.get_by_role("link", name=re.compile("return to", re.IGNORECASE))
    ).first.click()
    expect(page).to_have_url(re.compile(f"^{re.escape(person.bank)}"))
    expect(page.get_by_label("Amount")).to_have_value(re.compile("5000|5,000"))


def test_a_passkey_without_verification_is_not_enough(person: Person, page: Page):
    session, authenticator = add_virtual_authenticator(page)
    person.add_passkey()
    person.sign_in_to_bank()
    session.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": authenticator, "isUserVerified": False},
    )
    person.send("5000")
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.locator('[data-su-failure="cancelled"]')).to_be_focused()
    expect(page).to_have_url(re.compile("/c/"))


def test_cancelling_leads_back_to_the_filled_in_form(person: Person, page: Page):
    person.add_app()
    person.sign_in_to_bank()
    person.send("500")
    page.get_by_role("button", name="Cancel and return").click()
    expect(page).to_have_url(re.compile(f"^{re.escape(person.bank)}"))
    expect(page.get_by_label("To", exact=True)).to_have_value("ACME GmbH")


def test_the_back_button_after_a_confirmation_leads_to_no_loop(person: Person, page: Page):
    app = person.add_app()
    person.sign_in_to_bank()
    person.send("500")
    person.type_code(app.now())
    expect_receipt(page, proved_by="authenticator app")
    page.go_back()
    expect(page.get_by_role("heading")).not_to_contain_text("Something")


def test_three_tabs_do_not_disturb_each_other(person: Person, page: Page, context: BrowserContext):
    add_virtual_authenticator(page)
    person.add_passkey()
    person.sign_in_to_bank()
    person.send("5000")
    challenge = page.url
    for _ in range(2):
        other = context.new_page()
        other.goto(challenge)
        expect(other.get_by_role("button", name="Continue with passkey")).to_be_visible()
    page.bring_to_front()
    page.get_by_role("button", name="Continue with passkey").click()
    expect_receipt(page, proved_by="passkey")
