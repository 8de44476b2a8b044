"""Somebody in front of a browser: signs in, adds authenticators, sends money."""

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pyotp
from playwright.sync_api import CDPSession, Page, expect


class Person:
    """One subject of the demo, and what it does with the pages."""

    def __init__(self, page: Page, issuer: str, bank: str) -> None:
        self.page = page
        self.issuer = issuer
        self.bank = bank
        self.name = "Alice"

    def sign_in_to_bank(self) -> None:
        self.page.goto(self.bank)
        self.page.get_by_role("link", name="Sign in").click()
        self._choose_name()
        expect(self.page.get_by_label("Amount")).to_be_visible()

    def open_account(self, path: str = "/account") -> None:
        self.page.goto(self.issuer + path)
        self._choose_name()

    def send(self, amount: str, payee: str = "ACME GmbH") -> None:
        self.page.goto(f"{self.bank}/account")
        self.page.get_by_label("To", exact=True).fill(payee)
        self.page.get_by_label("Amount").fill(amount)
        self.page.get_by_role("button", name="Send").click()

    def add_app(self, name: str = "My phone") -> pyotp.TOTP:
        """Add an authenticator app and return it."""
        self.open_account("/account/add/app")
        return self._confirm_app(name)

    def add_app_with_passkey(self, name: str = "My phone") -> pyotp.TOTP:
        """Add an authenticator app after the step-up that it needs when there is a passkey."""
        self.open_account("/account/add/app")
        self.page.get_by_role("button", name="Continue with passkey").click()
        return self._confirm_app(name)

    def _confirm_app(self, name: str) -> pyotp.TOTP:
        link = self.page.get_by_role("link", name="Open app on this device")
        query = parse_qs(urlsplit(str(link.get_attribute("href"))).query)
        app = pyotp.TOTP(query["secret"][0])
        # The code of the step before, so that the present one is still good for a challenge; not
        # near the end of a step, where it would be two steps old when it arrives.
        if time.time() % 30 > 20:
            time.sleep(30 - time.time() % 30)
        self.page.locator("#code").fill(app.at(int(time.time()) - 30))
        self.page.get_by_label(re.compile("^Name")).fill(name)
        self.page.get_by_role("button", name="Finish").click()
        expect(self.page.get_by_role("status")).to_contain_text(name)
        return app

    def add_passkey(self, name: str = "My laptop") -> None:
        self.open_account("/account/add/passkey")
        self.page.get_by_label(re.compile("^Name")).fill(name)
        self.page.get_by_role("button", name="Create passkey").click()
        expect(self.page.get_by_role("status")).to_contain_text(name)

    def type_code(self, code: str) -> None:
        self.page.locator("#code").fill(code)
        self.page.get_by_role("button", name="Confirm", exact=True).click()

    def _choose_name(self) -> None:
        choice = self.page.get_by_role("button", name=self.name)
        if choice.count():
            choice.click()


def forget_authenticators(issuer: str, admin: dict[str, str], sub: str) -> None:
    """Take everything away that a person of the demo has enrolled."""
    url = f"{issuer}/v1/admin/subjects/{sub}/authenticators"
    with httpx2.Client(headers=admin) as http:
        enrolled = http.get(url).json()["authenticators"]
        for found in enrolled:
            http.delete(f"{url}/{found['id']}").raise_for_status()
    if enrolled:
        # A removal ends what is proved within a second of it too, and tokens count whole seconds.
        time.sleep(2.1)


def add_virtual_authenticator(page: Page, **traits: Any) -> tuple[CDPSession, str]:
    """Give the page a platform authenticator that touches and recognizes by itself."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": options | traits})
    return session, added["authenticatorId"]
