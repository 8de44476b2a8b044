"""The pages of a challenge: every way through them, every end, and what each page may do."""

import json
import re
from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.pages.locales import available
from tests.http.account_visit import HTML
from tests.http.conftest import app_over
from tests.http.flow import (
    BANK,
    Flow,
    a_transfer,
    answer_in,
    code_in,
    hidden_fields,
    passkey_options,
)
from tests.support.authenticator import Lie
from tests.support.world import BANK_CALLBACK, World
from tests.usecases.steps import recovery_codes

LOW_LEVEL = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    title: {en: "send a payment"}
    attributes: {amount: {type: decimal}, payee: {type: string}}
    display: [amount, payee]
    default: {level: urn:stepup:acr:1, max_age: 5m}
"""
TWO_FACTORS = """
apiVersion: stepup/v1
levels:
  both: {any_of: [[totp, {method: webauthn, user_verified: true}]], max_age: 5m}
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: both}
"""


async def read(flow: Flow, path: str) -> httpx2.Response:
    return await flow.http.get(path, headers=HTML)


async def post(flow: Flow, page: str, action: str, **form: str) -> httpx2.Response:
    """Open a page and post one of its forms."""
    shown = await read(flow, page)
    return await flow.http.post(action, data=hidden_fields(shown.text) | form, headers=HTML)


# --- choosing ---------------------------------------------------------------------------------


async def test_the_strongest_way_is_shown_first(flow: Flow):
    await flow.world.enroll_passkey()
    page = await read(flow, await flow.opened())

    assert 'data-su-passkey="get"' in page.text
    assert "Try another way" in page.text


async def test_whose_code_came_too_early_is_told_to_wait_and_not_that_it_is_wrong(flow: Flow):
    world, where = flow.world, await flow.opened()
    await world.ports.state.generations.raise_floor(world.clock.now())
    page = await post(flow, where, f"{where}/code", code=world.code())

    assert page.status_code == 422
    assert "That code came too early." in page.text
    assert re.search(r"Wait \d+ (seconds|minutes), then type", page.text)
    assert "That code isn" not in page.text


async def test_one_way_alone_offers_no_other(flow: Flow):
    page = await read(flow, await flow.opened())

    assert 'autocomplete="one-time-code"' in page.text
    assert "Try another way" not in page.text


async def test_the_chooser_lists_every_way(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened()
    page = (await read(flow, f"{where}/methods")).text

    assert page.index(f"{where}/passkey") < page.index(f"{where}/code")
    assert "Fastest" in page


async def test_a_way_that_does_not_reach_the_level_is_not_shown(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = (await read(flow, f"{where}/methods")).text

    assert f"{where}/passkey" in page
    assert f"{where}/code" not in page
    assert (await read(flow, f"{where}/code")).headers["location"] == where


async def test_what_is_confirmed_is_shown(flow: Flow):
    page = (await read(flow, await flow.opened())).text

    assert "<strong>send a payment</strong>" in page
    assert "ACME" in page
    assert "€500.00" in page
    assert "a***e" in page or "al" in page
    assert "alice" not in page


async def test_markup_in_a_payee_stays_text(flow: Flow):
    request = a_transfer(payee="<img src=x onerror=alert(1)>")
    answer = await flow.http.post("/access/v1/evaluation", json=request, auth=BANK)
    pushed = await flow.push(answer.json()["context"]["step_up_ticket"])
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    page = (await read(flow, where)).text

    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


# --- answering --------------------------------------------------------------------------------


async def test_a_code_works_without_javascript(flow: Flow):
    where = await flow.opened()
    answered = await post(flow, f"{where}/code", f"{where}/code", code=flow.world.code())

    assert answered.status_code == 303
    assert answer_in(answered).keys() == {"code", "state", "iss"}


async def test_a_code_may_be_typed_in_groups(flow: Flow):
    code = flow.world.code()

    assert code_in(await flow.type_code(await flow.opened(), f" {code[:3]} {code[3:]} "))


async def test_a_wrong_code_says_how_many_tries_are_left(flow: Flow):
    where = await flow.opened()
    refused = await flow.type_code(where, flow.world.wrong_code())

    assert refused.status_code == 422
    assert "You have 4 tries left." in refused.text
    assert 'role="alert"' in refused.text
    assert flow.world.wrong_code() not in refused.text


async def test_an_empty_code_is_not_counted(flow: Flow):
    where = await flow.opened()
    for _ in range(10):
        missing = await flow.type_code(where, "  ")
        assert missing.status_code == 422
        assert "Type the code first" in missing.text

    assert code_in(await flow.type_code(where, flow.world.code()))


async def test_a_locked_way_shows_what_else_there_is(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened()
    for _ in range(5):
        locked = await flow.type_code(where, flow.world.wrong_code())

    assert locked.status_code == 429
    assert "Codes from your authenticator app are paused" in locked.text
    assert f'href="{where}/passkey"' in locked.text
    again = await read(flow, f"{where}/code")
    assert again.status_code == 429
    assert f"{where}/code" not in (await read(flow, f"{where}/methods")).text
    assert code_in(await flow.touch(where, passkey))


async def test_the_only_way_locked_leaves_the_exits(flow: Flow):
    where = await flow.opened()
    for _ in range(5):
        locked = await flow.type_code(where, flow.world.wrong_code())
    assert "Your other ways still work" not in locked.text

    page = await read(flow, where)
    assert page.status_code == 200
    cancelled = await post(flow, where, f"{where}/cancel")
    assert "error" in answer_in(cancelled)


async def test_a_paused_way_says_when_it_opens_again(flow: Flow):
    first = await flow.opened()
    for _ in range(5):
        await flow.type_code(first, flow.world.wrong_code())
    paused = await flow.type_code(await flow.opened(), flow.world.code())

    assert paused.status_code == 429
    assert "minutes" in paused.text


@pytest.mark.parametrize("credential", ["{", "[]", '{"id": 1}', "null"])
async def test_a_credential_that_is_none_is_refused(flow: Flow, credential: str):
    await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    answer = await post(flow, f"{where}/passkey", f"{where}/passkey", credential=credential)

    assert answer.status_code in {400, 422}
    assert "location" not in answer.headers


async def test_a_used_ceremony_gets_a_new_request(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = (await read(flow, f"{where}/passkey")).text
    forged = json.dumps(passkey.answer(passkey_options(page), Lie(signature=b"x")))
    form = hidden_fields(page) | {"credential": forged}
    assert (await flow.http.post(f"{where}/passkey", data=form)).status_code == 422
    form = hidden_fields(page) | {
        "credential": json.dumps(passkey.answer(passkey_options(page))),
        "attempt": "another",
    }
    expired = await flow.http.post(f"{where}/passkey", data=form)

    assert expired.status_code == 422
    assert "we made a new request" in expired.text
    assert passkey_options(expired.text)["challenge"] != passkey_options(page)["challenge"]


async def test_a_recovery_code_is_burned_at_the_lowest_level():
    world = World(document=LOW_LEVEL)
    await world.enroll_app()
    codes = await recovery_codes(world)
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        where = await flow.opened()
        assert "You have 9 left" in (await read(flow, f"{where}/recovery")).text
        wrong = await post(flow, f"{where}/recovery", f"{where}/recovery", code="AAAA")
        assert wrong.status_code == 422
        missing = await post(flow, f"{where}/recovery", f"{where}/recovery", code=" ")
        assert missing.status_code == 422
        passed = await post(flow, f"{where}/recovery", f"{where}/recovery", code=codes[0])

    assert code_in(passed)


async def test_the_second_factor_is_asked_for_after_the_first():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        where = await flow.opened()
        half = await flow.type_code(where, world.code())
        assert half.headers["location"] == where
        page = (await read(flow, where)).text
        assert "Step 2 of 2" in page
        assert 'data-su-passkey="get"' in page

        assert code_in(await flow.touch(where, passkey))


# --- ends -------------------------------------------------------------------------------------


async def test_going_back_after_the_answer_leads_on(flow: Flow):
    where = await flow.opened()
    answered = await flow.type_code(where, flow.world.code())
    for leaf in ("", "/code", "/methods", "/passkey"):
        page = await read(flow, f"{where}{leaf}")
        assert page.status_code == 200
        assert answered.headers["location"].replace("&", "&amp;") in page.text


async def test_an_answer_posted_again_from_the_back_button_goes_on(flow: Flow):
    where = await flow.opened()
    page = await read(flow, f"{where}/code")
    form = hidden_fields(page.text) | {"code": flow.world.code()}
    first = await flow.http.post(f"{where}/code", data=form)
    again = await flow.http.post(f"{where}/code", data=form)

    assert first.headers["location"] == again.headers["location"]
    other = await flow.http.post(f"{where}/code", data=form | {"attempt": "another"})
    assert other.headers["location"] == where


async def test_after_the_code_was_redeemed_there_is_nothing_left_to_do(flow: Flow):
    where = await flow.opened()
    code = code_in(await flow.type_code(where, flow.world.code()))
    await flow.redeem(code)
    page = await read(flow, where)

    assert "This is already confirmed" in page.text
    assert code not in page.text


async def test_a_cancelled_challenge_leads_back_to_the_client(flow: Flow):
    where = await flow.opened()
    cancelled = await post(flow, where, f"{where}/cancel")
    page = await read(flow, where)

    assert "Cancelled" in page.text
    assert cancelled.headers["location"].replace("&", "&amp;") in page.text
    late = await flow.http.post(
        f"{where}/code", data={"form_token": "x", "attempt": "a", "code": "1"}
    )
    assert late.status_code == 400


async def test_an_answer_after_cancelling_changes_nothing(flow: Flow):
    where = await flow.opened()
    page = await read(flow, where)
    form = hidden_fields(page.text) | {"code": flow.world.code()}
    await flow.http.post(f"{where}/cancel", data=form)
    answer = await flow.http.post(f"{where}/code", data=form)

    assert answer.headers["location"] == where
    assert "Cancelled" in (await read(flow, where)).text


async def test_cancelling_after_the_answer_goes_on(flow: Flow):
    where = await flow.opened()
    form = hidden_fields((await read(flow, where)).text)
    await flow.type_code(where, flow.world.code())
    answer = await flow.http.post(f"{where}/cancel", data=form)

    assert answer.headers["location"] == where


async def test_who_never_asked_for_it_is_thanked_and_the_client_told(flow: Flow):
    where = await flow.opened()
    page = await post(flow, where, f"{where}/report")

    assert page.status_code == 200
    assert "Thank you for telling us" in page.text
    assert "error=access_denied" in page.text


async def test_nothing_strong_enough_is_explained(flow: Flow):
    where = await flow.opened("5000.00")
    page = await read(flow, where)

    assert page.status_code == 200
    assert "Nothing on your account is strong enough" in page.text
    assert 'href="/account/add"' in page.text
    assert (await read(flow, f"{where}/passkey")).status_code == 422


async def test_who_may_not_enroll_is_not_invited_to():
    world = World(document=TWO_FACTORS)
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        page = await read(flow, await flow.opened())

    assert "Nothing on your account is strong enough" in page.text
    assert "/account" not in page.text


@pytest.mark.parametrize("leaf", ["", "/methods", "/code", "/passkey", "/recovery"])
async def test_an_expired_challenge_is_explained(flow: Flow, leaf: str):
    where = await flow.opened()
    flow.world.clock.advance(timedelta(minutes=10))
    page = await read(flow, f"{where}{leaf}")

    assert page.status_code == 404
    assert "This request has run out" in page.text


async def test_a_post_to_an_expired_challenge_is_explained(flow: Flow):
    where = await flow.opened()
    form = hidden_fields((await read(flow, where)).text) | {"code": flow.world.code()}
    flow.world.clock.advance(timedelta(minutes=10))
    answer = await flow.http.post(f"{where}/code", data=form, headers=HTML)

    assert answer.status_code == 404
    assert "This request has run out" in answer.text


async def test_another_browser_is_told_so(flow: Flow):
    where = await flow.opened()
    async with app_over(flow.world.ports) as other:
        page = await other.get(where, headers=HTML)

    assert page.status_code == 403
    assert "started in another browser" in page.text
    assert "ACME" not in page.text


async def test_an_unknown_challenge_looks_like_an_expired_one(flow: Flow):
    page = await read(flow, "/c/r1.unknown")

    assert page.status_code == 404
    assert "This request has run out" in page.text


async def test_a_client_s_own_challenge_has_no_pages(flow: Flow):
    body = {"ticket": await flow.ticket(), "subject_token": flow.world.subject_token()}
    opened = await flow.http.post("/v1/challenges", json=body, auth=BANK)
    page = await read(flow, f"/c/{opened.json()['challenge_id']}")

    assert page.status_code == 403


# --- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", ["code", "passkey", "recovery", "cancel", "report"])
@pytest.mark.parametrize("token", [None, "", "forged", "ü"])
async def test_a_form_of_another_site_is_refused(flow: Flow, leaf: str, token: str | None):
    await flow.world.enroll_passkey()
    where = await flow.opened()
    form = {"attempt": "a", "code": flow.world.code(), "credential": "{}"}
    answer = await flow.http.post(
        f"{where}/{leaf}", data=form if token is None else form | {"form_token": token}
    )

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert (await read(flow, where)).status_code == 200


async def test_the_form_token_of_another_challenge_is_refused(flow: Flow):
    here, there = await flow.opened(), await flow.opened()
    form = hidden_fields((await read(flow, there)).text) | {"code": flow.world.code()}

    assert (await flow.http.post(f"{here}/code", data=form)).status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"form_token=%ff", b"form_token=a&form_token=b&attempt=1", b"%", b"\x00", b"", b"attempt=1"],
)
async def test_a_form_that_is_none_is_refused(flow: Flow, body: bytes):
    where = await flow.opened()
    answer = await flow.http.post(
        f"{where}/code",
        content=body,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("attempt", ["", "x" * 129, "a\n", "ü", "a\x00b"])
async def test_an_attempt_that_no_page_of_ours_wrote_is_refused(flow: Flow, attempt: str):
    where = await flow.opened()
    answer = await flow.type_code(where, flow.world.code(), attempt=attempt)

    assert answer.status_code == 400
    assert code_in(await flow.type_code(where, flow.world.code()))


# --- every page -------------------------------------------------------------------------------


async def test_a_form_may_end_at_the_client_s_origin_and_nowhere_else(flow: Flow):
    where = await flow.opened()
    for leaf in ("", "/methods", "/code"):
        policy = (await read(flow, f"{where}{leaf}")).headers["content-security-policy"]
        assert "form-action 'self' https://bank.example;" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        ("com.bank.app:/callback", "com.bank.app:"),
        ("http://127.0.0.1:8123/callback", "http://127.0.0.1:8123"),
        ("https://bank.example:8443/cb?x=1", "https://bank.example:8443"),
    ],
)
async def test_every_kind_of_redirect_has_its_source(flow: Flow, redirect_uri: str, source: str):
    registered = msgspec.structs.replace(flow.world.bank, redirect_uris=(redirect_uri,))
    flow.world.snapshot.clients[registered.client_id] = registered
    pushed = await flow.push(await flow.ticket(), redirect_uri=redirect_uri)
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    policy = (await read(flow, where)).headers["content-security-policy"]

    assert f"form-action 'self' {source};" in policy


async def test_no_page_has_an_inline_script_or_style(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened()
    for leaf in ("", "/methods", "/code", "/passkey"):
        page = (await read(flow, f"{where}{leaf}")).text
        scripts = re.findall(r"<script([^>]*)>", page)
        assert scripts
        assert all("src=" in s or 'type="application/json"' in s for s in scripts)
        assert all("integrity=" in s for s in scripts if "src=" in s)
        assert not re.search(r"\son\w+=|style=|javascript:", page)


async def test_pages_are_not_kept_framed_or_told_to_others(flow: Flow):
    page = await read(flow, await flow.opened())

    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["strict-transport-security"]


@pytest.mark.parametrize("language", available())
async def test_the_client_s_wish_for_a_language_comes_first(flow: Flow, language: str):
    pushed = await flow.push(await flow.ticket(), ui_locales=f"xx {language}-CH")
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    page = await flow.http.get(where, headers=HTML | {"accept-language": "xx"})

    assert f'<html lang="{language}"' in page.text


@pytest.mark.parametrize("language", available())
async def test_the_browser_s_language_comes_next(flow: Flow, language: str):
    page = await flow.http.get(
        await flow.opened(), headers=HTML | {"accept-language": f"xx, {language};q=0.9"}
    )

    assert f'<html lang="{language}"' in page.text


async def test_the_browser_cookie_is_tied_to_this_host(flow: Flow):
    pushed = await flow.push(await flow.ticket())
    authorized = await flow.authorize(pushed.json()["request_uri"])
    cookie = authorized.headers["set-cookie"]

    assert cookie.startswith("__Host-stepup=")
    assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    assert "Domain" not in cookie
    assert BANK_CALLBACK not in cookie
