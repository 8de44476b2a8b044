"""The account pages in a browser: look after authenticators, keep recovery codes and use one."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import Person, add_virtual_authenticator
from tests.e2e.readable import readable_in_engines, readable_in_log
from tests.support.service import RunningService

pytestmark = pytest.mark.e2e


def test_an_authenticator_gets_another_name(person: Person, page: Page):
    app = person.add_app("Old phone")
    page.get_by_role("link", name="Rename Old phone").click()
    person.type_code(app.now())
    page.get_by_label("New name").fill("New phone")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("New phone")
    expect(page.get_by_role("heading", name="New phone")).to_be_visible()
    expect(page.get_by_role("heading", name="Old phone")).to_have_count(0)


def test_the_last_one_is_removed_after_a_step_up_and_a_warning(person: Person, page: Page):
    app = person.add_app("My phone")
    page.get_by_role("link", name="Remove My phone").click()
    person.type_code(app.now())
    expect(page.get_by_text("It is the only one you have.")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("My phone was removed")
    expect(page.get_by_role("heading", name="My phone")).to_have_count(0)


def test_one_of_two_is_removed_without_the_warning(person: Person, page: Page):
    add_virtual_authenticator(page)
    person.add_passkey("My laptop")
    person.add_app_with_passkey("My phone")
    page.get_by_role("link", name="Remove My phone").click()
    confirm_with_passkey_if_asked(page)
    expect(page.get_by_text("It is the only one you have.")).to_have_count(0)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("My phone was removed")
    expect(page.get_by_role("heading", name="My laptop")).to_be_visible()


def test_recovery_codes_are_shown_once_and_one_opens_the_way_to_a_new_app(
    person: Person, page: Page, service: RunningService
):
    app = person.add_app("Lost phone")
    codes = make_recovery_codes(person, page, app.now())
    assert len(set(codes)) == len(codes) == 10
    page.reload()
    assert not set(codes) & set(page.locator("[data-su-codes] code").all_inner_texts())

    page.goto(f"{person.issuer}/account")
    expect(page.get_by_text(re.compile(rf"{len(codes) - 1} of {len(codes)} left"))).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    person.open_account("/account/add/app")
    page.get_by_role("link", name="Try another way").click()
    page.get_by_role("link", name=re.compile("recovery code")).click()
    person.type_code(codes[0])
    expect(page.get_by_role("alert")).to_be_visible()
    person.type_code(codes[1])
    expect(page.get_by_role("link", name="Open app on this device")).to_be_visible()

    typed = {code: code.encode() for code in codes}
    bare = {f"bare {code}": code.replace("-", "").encode() for code in codes}
    assert readable_in_engines(service, typed | bare) == set()
    assert readable_in_log(service, typed | bare) == set()


def test_signing_out_ends_the_session(person: Person, page: Page):
    person.add_app()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    page.context.clear_cookies(domain="127.0.0.1")
    page.goto(f"{person.issuer}/account")
    expect(page.get_by_role("button", name=person.name)).to_be_visible()


def make_recovery_codes(person: Person, page: Page, code: str) -> list[str]:
    """Make a set, prove that it was kept by burning the first one, and return it."""
    page.goto(f"{person.issuer}/account/recovery-codes")
    if page.locator("#code").count():
        person.type_code(code)
    page.get_by_role("button", name="Show my codes").click()
    codes = page.locator("[data-su-codes] code").all_inner_texts()
    page.locator("#code").fill(codes[0])
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("status")).to_contain_text("ready")
    return codes


def confirm_with_passkey_if_asked(page: Page) -> None:
    asked = page.get_by_role("button", name="Continue with passkey")
    expect(asked.or_(page.get_by_role("button", name="Remove", exact=True))).to_be_visible()
    if asked.count():
        asked.click()
