import json
import re

import pytest

from tests.demo.conftest import BANK, IDP, STEPUP
from tests.sdk.challenges import read_challenge


def test_a_small_transfer_goes_straight_through(world):
    world.sign_in()
    sent = world.submit("25")
    receipt = world.bank.get(sent.headers["location"]).text
    assert "€25.00" in receipt
    assert "nothing had to be confirmed" in receipt
    assert world.balance() == "€18,395.90"


def test_a_large_transfer_is_confirmed_first(world, stand_in):
    world.sign_in()
    sent = world.submit("5000", payee="Bob Lindqvist")
    assert sent.status_code == 303
    assert sent.headers["location"].startswith(f"{STEPUP}/oauth2/authorize?")
    assert world.balance() == "€18,420.90"

    back = world.confirm(sent)

    receipt = world.bank.get(back.headers["location"]).text
    assert "€5,000.00" in receipt
    assert "Confirmed with a passkey" in receipt
    assert world.balance() == "€13,420.90"
    assert stand_in.asked["/oauth2/consume"] == 1


def test_what_is_confirmed_is_what_was_typed(world, stand_in):
    world.sign_in()
    world.submit(" 1250,5 ", payee="  Carol   Osei ")
    [asked] = stand_in.pushed.values()
    assert asked["action"] == {
        "name": "payments.transfer",
        "properties": {"amount": "1250.50", "payee": "Carol Osei", "currency": "EUR"},
    }
    assert asked["subject"]["id"] == "alice"
    assert asked["redirect_uri"] == f"{BANK}/callback"
    assert asked["subject_token"].count(".") == 2


def test_a_cancelled_confirmation_keeps_the_form(world):
    world.sign_in()
    sent = world.submit("5000")
    back = world.confirm(sent, code=None, error="access_denied")
    page = world.bank.get(back.headers["location"]).text
    assert "You did not confirm the transfer" in page
    assert 'value="5000.00"' in page
    assert 'value="Carol Osei"' in page
    assert 'value="Lunch"' in page
    assert world.balance() == "€18,420.90"
    assert "You did not" not in world.bank.get(back.headers["location"]).text


def test_a_form_with_a_mistake_keeps_what_was_typed(world):
    world.sign_in()
    for amount in ("", "0", "-5", "1e3", "12.345", "five", "99999999"):
        answer = world.submit(amount, payee="Carol & <b>")
        assert answer.status_code == 422
        assert "Carol &amp; &lt;b&gt;" in answer.text


def test_a_second_click_sends_the_money_once(world):
    world.sign_in()
    form = world.form()
    first, second = (world.submit("25", form=form) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert world.balance() == "€18,395.90"


def test_a_callback_opened_twice_sends_the_money_once(world, stand_in):
    world.sign_in()
    sent = world.submit("5000")
    code, pushed = next(iter(stand_in.pushed.items()))
    query = {"code": code, "state": pushed["state"], "iss": STEPUP}
    first, second = (world.bank.get("/callback", params=query) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert world.balance() == "€13,420.90"
    assert sent.status_code == 303


@pytest.mark.parametrize(
    "changes", [{"state": "other"}, {"state": None}, {"iss": None}, {"iss": IDP}, {"code": "x"}]
)
def test_an_answer_to_another_question_sends_nothing(world, changes):
    world.sign_in()
    answer = world.confirm(world.submit("5000"), **changes)
    assert answer.status_code in {303, 400}
    assert "/receipts/" not in answer.headers.get("location", "")
    assert world.balance() == "€18,420.90"


@pytest.mark.parametrize(
    "lie",
    [
        {"acr": "urn:stepup:acr:1"},
        {"aud": "another"},
        {"iss": "http://localhost:9"},
        {"authorization_details": [{"type": "stepup_action", "action": "x", "bound_digest": "y"}]},
    ],
    ids=str,
)
def test_a_token_that_is_not_what_was_asked_for_sends_nothing(world, stand_in, lie):
    world.sign_in()
    stand_in.lie = lie
    back = world.confirm(world.submit("5000"))
    assert back.headers["location"].startswith("/transfers/")
    assert "5000.00" in world.bank.get(back.headers["location"]).text
    assert world.balance() == "€18,420.90"


def test_a_confirmation_of_somebody_else_is_refused(world, stand_in):
    world.sign_in()
    stand_in.lie = {"sub_id": {"format": "iss_sub", "iss": "http://other", "sub": "alice"}}
    world.confirm(world.submit("5000"))
    assert world.balance() == "€18,420.90"


def test_stepup_away_sends_nothing_and_keeps_the_form(world, stand_in):
    world.sign_in()
    stand_in.down = True
    answer = world.submit("5000")
    assert answer.status_code == 503
    assert "5000.00" in answer.text


def test_a_rule_that_denies_is_said(world, stand_in):
    world.sign_in()
    stand_in.outcome = "deny"
    answer = world.submit("25")
    assert answer.status_code == 403
    assert "do not allow" in answer.text


def test_an_allow_of_a_large_transfer_does_not_fool_the_transfer_service(world, stand_in):
    world.sign_in()
    stand_in.outcome = "allow"
    assert world.submit("5000").status_code == 409
    assert world.balance() == "€18,420.90"


def test_more_than_there_is(world):
    world.sign_in("bob")
    world.confirm(world.submit("9000"))
    assert world.balance() == "€7,635.15"


def test_a_form_from_another_site_is_refused(world):
    world.sign_in()
    action, csrf = world.form()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        data = {"csrf": csrf, "amount": "25", "payee": "Mallory"}
        world.bank.post(action, data=data, headers=headers)
    world.submit("25", csrf="guess")
    assert world.balance() == "€18,420.90"


def test_nobody_sees_a_receipt_of_somebody_else(world):
    world.sign_in("alice")
    receipt = world.submit("25").headers["location"]
    world.sign_in("bob")
    assert world.bank.get(receipt).headers["location"] == "/account"


def test_without_signing_in_there_is_only_the_front_page(world):
    assert "Sign in" in world.bank.get("/").text
    for path in ("/account", "/transfers/x", "/receipts/x"):
        assert world.bank.get(path).status_code == 303
    assert world.bank.get("/callback", params={"state": "x", "code": "y"}).status_code == 400


def test_a_sign_in_that_another_browser_began(world):
    url = world.bank.get("/sign-in").headers["location"]
    back = world.idp.post(url.removeprefix(IDP), data={"sub": "alice"}).headers["location"]
    world.bank.cookies.clear()
    world.bank.get(back.removeprefix(BANK))
    assert world.bank.get("/account").status_code == 303


def test_a_cancelled_sign_in_is_friendly(world):
    url = world.bank.get("/sign-in").headers["location"]
    back = world.idp.post(url.removeprefix(IDP), data={"cancel": "1"}).headers["location"]
    assert "You are not signed in" in world.bank.get(back.removeprefix(BANK)).text


def test_signs_out_here_and_there(world):
    world.sign_in()
    _, csrf = world.form()
    answer = world.bank.post("/sign-out", data={"csrf": csrf})
    assert answer.headers["location"].startswith(f"{IDP}/logout?")
    assert world.bank.get("/account").status_code == 303


def test_pages_are_locked_down(world):
    world.sign_in()
    answer = world.bank.get("/account")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert f"form-action 'self' {STEPUP} {IDP}" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|style=|onclick", answer.text)
    assert f'href="{STEPUP}/account"' in answer.text


def test_cookies_are_out_of_reach(world):
    answer = world.sign_in()
    fields = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in field and "SameSite=lax" in field for field in fields)


def test_a_new_cookie_at_each_sign_in(world):
    world.sign_in()
    first = world.bank.cookies["demo_bank"]
    world.sign_in()
    assert world.bank.cookies["demo_bank"] != first


ORDER = {"amount": "25.00", "currency": "EUR", "payee": "Carol Osei", "reference": ""}
# As JSON it sends 4,000.00 to Mallory, as a form a sum that needs no confirmation.
POLYGLOT = (
    b'{"amount":"4000.00","currency":"EUR","payee":"Mallory",'
    b'"reference":"a=&amount=50.00&currency=EUR&payee=x&z="}'
)
# The other way round: the JSON is harmless, the form is not.
REVERSE = (
    b'{"amount":"50.00","currency":"EUR","payee":"x",'
    b'"reference":"a=&amount=4000.00&currency=EUR&payee=Mallory&z="}'
)
FORM = "application/x-www-form-urlencoded"


class TestTransferService:
    def base_token(self, world, sub="alice"):
        return world.idp.post("/dev/token", data={"sub": sub}).json()

    def call(self, world, token, key="k1", **changes):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return world.bank.post("/api/transfers", json=ORDER | changes, headers=headers)

    def test_base_login_is_enough_for_a_small_transfer(self, world):
        token = self.base_token(world)["access_token"]
        first, second = (self.call(world, token) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()

    def test_base_login_gets_the_challenge_for_a_large_one(self, world):
        answer = self.call(world, self.base_token(world)["access_token"], amount="1000.01")
        assert answer.status_code == 401
        scheme, parameters = read_challenge(answer.headers["www-authenticate"])
        assert scheme == "Bearer"
        assert parameters["error"] == "insufficient_user_authentication"
        assert parameters["acr_values"] == "phr"
        assert answer.json()["action"] == "payments.transfer"

    def test_strangers_learn_nothing(self, world):
        for headers in ({}, {"Authorization": "Bearer a.b.c"}):
            answer = world.bank.post(
                "/api/transfers", json=ORDER | {"amount": "5000.00"}, headers=headers
            )
            assert answer.status_code == 401
            assert "phr" not in answer.text + json.dumps(dict(answer.headers))

    def test_an_id_token_is_no_access_token(self, world):
        assert self.call(world, self.base_token(world)["id_token"]).status_code == 401

    @pytest.mark.parametrize(
        "amount",
        ["", "0.00", "-5.00", "5", "1e5", "05.00", "\u0665.00", "5.00\n", "NaN", "100.001"],
    )
    def test_an_amount_with_two_readings(self, world, amount):
        token = self.base_token(world)["access_token"]
        assert self.call(world, token, amount=amount).status_code == 400

    def send_body(self, world, body, *kinds):
        token = self.base_token(world)["access_token"]
        headers = [("Authorization", f"Bearer {token}"), ("Idempotency-Key", "k1")]
        headers += [("Content-Type", kind) for kind in kinds]
        answer = world.bank.post("/api/transfers", content=body, headers=headers)
        world.sign_in()
        return answer.status_code, world.balance()

    @pytest.mark.parametrize("body", [POLYGLOT, REVERSE], ids=["json is large", "form is large"])
    @pytest.mark.parametrize(
        "kinds",
        [
            [FORM],
            ["text/plain"],
            ["multipart/form-data; boundary=x"],
            ["application/x-msgpack"],
            ["application/json; charset=utf-7"],
            [f"application/json, {FORM}"],
            [],
        ],
        ids=str,
    )
    def test_polyglot_body(self, world, body, kinds):
        """One text, two readings: the caller's Content-Type must not choose between them."""
        assert self.send_body(world, body, *kinds) == (415, "€18,420.90")

    def test_polyglot_body_said_to_be_json(self, world):
        assert self.send_body(world, POLYGLOT, "application/json") == (401, "€18,420.90")
        assert self.send_body(world, REVERSE, "application/json") == (201, "€18,370.90")

    def test_swapped_currency(self, world):
        for currency in ("USD", "eur", "", None):
            changed = json.dumps(ORDER | {"amount": "5000.00", "currency": currency}).encode()
            assert self.send_body(world, changed, "application/json")[0] == 400

    def test_the_confirmation_covers_the_currency(self, world, stand_in):
        asked = {
            "subject": {"id": "alice"},
            "action": {
                "name": "payments.transfer",
                "properties": {"amount": "5000.00", "currency": "USD", "payee": "Carol Osei"},
            },
        }
        stand_in.pushed["c"] = asked
        token = json.loads(stand_in.token({"code": "c"}).body)["access_token"]
        assert self.call(world, token, amount="5000.00").status_code == 401
        asked["action"]["properties"]["currency"] = "EUR"
        stand_in.pushed["c"] = asked
        token = json.loads(stand_in.token({"code": "c"}).body)["access_token"]
        assert self.call(world, token, amount="5000.00").status_code == 201

    def test_a_flood_of_forged_tokens_is_no_flood_of_requests_for_keys(self, world, stand_in):
        good = self.base_token(world)["access_token"]
        assert self.call(world, good).status_code == 201
        before = stand_in.asked_for_keys
        for number in range(50):
            forged = stand_in.issuer.mint(headers={"kid": f"guess-{number}"}, iss=IDP)
            assert self.call(world, forged).status_code == 401
        assert stand_in.asked_for_keys - before <= 1
        assert self.call(world, good).status_code == 201

    def test_an_amount_that_is_a_number(self, world):
        token = self.base_token(world)["access_token"]
        assert self.call(world, token, amount=5000).status_code == 400
