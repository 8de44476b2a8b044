"""The account pages end to end: sign in, add, list, rename, remove, recovery codes, sign out."""

import json
import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import httpx2
import pyotp
import pytest

from stepup.domain.assurance import Method
from stepup.pages.locales import available
from stepup.usecases import provision
from tests.http.account_visit import HTML, ISSUER, AccountVisit
from tests.http.conftest import app_over
from tests.http.flow import hidden_fields, passkey_options
from tests.support.authenticator import Lie, SoftwareAuthenticator
from tests.support.world import World
from tests.usecases.steps import methods_of


@pytest.fixture
def visit(http: httpx2.AsyncClient, world: World) -> AccountVisit:
    """A browser where nobody is signed in."""
    return AccountVisit(http, world)


@pytest.fixture
async def alice(visit: AccountVisit) -> AccountVisit:
    """Alice, signed in, who has an authenticator app."""
    await visit.world.enroll_app()
    await visit.sign_in()
    return visit


def offered_app(page: str) -> pyotp.TOTP:
    found = re.search(r'href="(otpauth://[^"]+)"', page)
    assert found is not None
    parsed = pyotp.parse_uri(found[1].replace("&amp;", "&"))
    assert isinstance(parsed, pyotp.TOTP)
    return parsed


def shown_now(app: pyotp.TOTP, world: World) -> str:
    return app.at(int(world.clock.now().timestamp()))


async def add_first_app(visit: AccountVisit) -> tuple[pyotp.TOTP, str]:
    begun = await visit.get("/account/add/app")
    assert begun.status_code == 303
    page = begun.headers["location"]
    app = offered_app((await visit.get(page)).text)
    added = await visit.submit(page, code=shown_now(app, visit.world), name="My phone")
    assert added.headers["location"].startswith("/account?notice=added&name=My+phone")
    return app, added.headers["location"]


# --- the whole way ----------------------------------------------------------------------------


async def test_from_nothing_to_a_passkey_and_back(visit: AccountVisit, world: World):
    assert (await visit.sign_in()).headers["location"] == "/account"
    empty = await visit.get("/account")
    assert "Nothing is set up yet" in empty.text
    assert "alice@example.com" in empty.text

    app, after = await add_first_app(visit)
    listed = await visit.get(after)
    assert "<strong>My phone</strong> was added." in listed.text

    # The second authenticator asks for the first one.
    asked = await visit.get("/account/add/passkey")
    where = await visit.challenge(asked)
    world.clock.advance(timedelta(seconds=30))
    answered = await visit.submit(f"{where}/code", code=shown_now(app, world))
    back = await visit.get(answered.headers["location"])
    assert back.headers["location"] == "/account/add/passkey"
    page = (await visit.get("/account/add/passkey")).text
    passkey = SoftwareAuthenticator(origin=ISSUER)
    credential = json.dumps(passkey.register(passkey_options(page)))
    added = await visit.post(
        "/account/add/passkey", **hidden_fields(page) | {"credential": credential}
    )
    assert added.headers["location"].startswith("/account?notice=added&name=Passkey")
    listed = await visit.get("/account")
    assert "This device only" in listed.text
    assert await methods_of(world) == [Method.TOTP, Method.WEBAUTHN]

    # The passkey is removed at the level that it gives.
    remove = re.findall(r'href="(/account/authenticators/[^"]+/remove)"', listed.text)[-1]
    await visit.elevated(remove, passkey)
    removed = await visit.submit(remove)
    assert removed.headers["location"].startswith("/account?notice=removed&name=Passkey")
    assert await methods_of(world) == [Method.TOTP]


async def test_the_choice_offers_both_ways(alice: AccountVisit):
    page = (await alice.get("/account/add")).text

    assert 'href="/account/add/passkey"' in page
    assert 'href="/account/add/app"' in page


async def test_times_and_last_use_are_shown(alice: AccountVisit):
    assert "Not used yet" in (await alice.get("/account")).text


# --- signing in and out -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/account", "/account/add", "/account/add/passkey", "/account/recovery-codes"]
)
async def test_who_is_not_signed_in_is_sent_to_base_login_and_back(visit: AccountVisit, path: str):
    sent = await visit.get(path)
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/account/login?return_to={path.replace('/', '%2F')}"

    assert (await visit.sign_in(return_to=path)).headers["location"] == path


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/account.evil.example",
        "/account\r\nx: y",
        "/account/€",
        "/c/r1.x",
    ],
)
async def test_an_open_redirect_leads_to_the_account_page(visit: AccountVisit, target: str):
    assert (await visit.sign_in(return_to=target)).headers["location"] == "/account"


async def test_a_page_with_a_name_of_another_script_can_be_signed_in_to(visit: AccountVisit):
    sent = await visit.get("/account/authenticators/ключ/rename")
    assert sent.status_code == 303
    query = httpx2.URL(sent.headers["location"]).params

    assert (await visit.sign_in(return_to=query["return_to"])).status_code == 303


async def test_the_cookies_are_tied_to_this_host(visit: AccountVisit):
    done = await visit.sign_in()
    begun = await visit.http.get("/account/login")
    assert "__Host-stepup-login=" in begun.headers["set-cookie"]
    cookies = done.headers.get_list("set-cookie")

    account = next(c for c in cookies if c.startswith("__Host-stepup-account="))
    assert all(part in account for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    assert "Domain" not in account
    login = next(c for c in cookies if c.startswith("__Host-stepup-login="))
    assert "Max-Age=0" in login


async def test_login_csrf_is_refused(visit: AccountVisit, world: World):
    async with app_over(world.ports) as attacker:
        begun = await attacker.get("/account/login")
    state = httpx2.URL(begun.headers["location"]).params["state"]
    await visit.http.get("/account/login")
    answer = await visit.http.get(
        "/account/login/callback", params={"state": state, "code": "mallory"}, headers=HTML
    )

    assert answer.status_code == 400
    assert (await visit.get("/account")).status_code == 303


async def test_a_callback_cannot_be_replayed(visit: AccountVisit):
    begun = await visit.http.get("/account/login")
    state = httpx2.URL(begun.headers["location"]).params["state"]
    query = {"state": state, "code": "alice"}
    assert (await visit.http.get("/account/login/callback", params=query)).status_code == 303

    assert (await visit.http.get("/account/login/callback", params=query)).status_code == 400


@pytest.mark.parametrize("query", ["", "error=access_denied&state=x", "state=x", "code=alice"])
async def test_coming_back_without_a_code_signs_nobody_in(visit: AccountVisit, query: str):
    answer = await visit.get(f"/account/login/callback?{query}")

    assert answer.headers["location"] == "/account/signed-out"


async def test_signing_out_ends_the_session_and_forgets_the_cookie(alice: AccountVisit):
    cookie = alice.http.cookies["__Host-stepup-account"]
    done = await alice.submit("/account", "/account/sign-out")
    assert done.headers["location"] == "/account/signed-out"
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert "You are signed out" in (await alice.get("/account/signed-out")).text

    # The secret itself is worth nothing any more.
    alice.http.cookies.set("__Host-stepup-account", cookie)
    assert (await alice.get("/account")).status_code == 303


async def test_signing_out_twice_is_harmless(alice: AccountVisit):
    form = hidden_fields((await alice.get("/account")).text)
    await alice.post("/account/sign-out", **form)
    again = await alice.post("/account/sign-out", **form)

    assert again.headers["location"] == "/account/signed-out"


async def test_a_session_that_ended_meanwhile_is_explained_when_a_form_is_posted(
    alice: AccountVisit,
):
    form = hidden_fields((await alice.get("/account")).text)
    alice.world.clock.advance(timedelta(hours=1))
    for path in ("/account/recovery-codes", "/account/add/passkey"):
        answer = await alice.post(path, **form)
        assert answer.status_code == 403
        assert "Please sign in again" in answer.text


# --- forms ------------------------------------------------------------------------------------


def account_forms() -> list[tuple[str, dict[str, str]]]:
    return [
        ("/account/sign-out", {}),
        ("/account/authenticators/{id}/rename", {"name": "Mine"}),
        ("/account/authenticators/{id}/remove", {}),
        ("/account/add/app/some-offer", {"code": "123456"}),
        ("/account/add/passkey", {"ceremony_id": "x", "credential": "{}"}),
        ("/account/recovery-codes", {}),
        ("/account/recovery-codes/confirm", {"code": "AAAA"}),
    ]


@pytest.mark.parametrize(("path", "fields"), account_forms(), ids=lambda v: v)
@pytest.mark.parametrize("token", [None, "", "forged", "ü"])
async def test_a_form_of_another_site_is_refused(
    alice: AccountVisit, path: str, fields: dict[str, str], token: str | None
):
    listed = (await alice.get("/account")).text
    own = re.findall(r"/account/authenticators/([^/]+)/rename", listed)[0]
    await alice.elevated("/account/recovery-codes")
    form = fields if token is None else fields | {"form_token": token}
    answer = await alice.post(path.format(id=own), **form)

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert (await alice.get("/account")).status_code == 200
    assert "My phone" in (await alice.get("/account")).text


async def test_the_form_token_of_another_session_is_refused(alice: AccountVisit):
    async with app_over(alice.world.ports) as other:
        mallory = AccountVisit(other, alice.world)
        await mallory.sign_in("mallory")
        foreign = hidden_fields((await mallory.get("/account")).text)["form_token"]

    assert (await alice.post("/account/sign-out", form_token=foreign)).status_code == 400


@pytest.mark.parametrize(
    "body", [b"form_token=%ff", b"form_token=a&form_token=b", b"%", b"form_token", b"\x00=1", b""]
)
async def test_a_form_that_is_none_is_refused(alice: AccountVisit, body: bytes):
    answer = await alice.http.post(
        "/account/sign-out",
        content=body,
        headers=HTML | {"content-type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 400


# --- authenticator apps -----------------------------------------------------------------------


async def test_the_key_is_shown_as_a_picture_and_as_text(visit: AccountVisit):
    await visit.sign_in()
    page_path = (await visit.get("/account/add/app")).headers["location"]
    page = (await visit.get(page_path)).text
    picture = await visit.get(f"{page_path}/qr.svg")

    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert picture.headers["cache-control"] == "no-store"
    assert ET.fromstring(picture.text).tag.endswith("svg")  # noqa: S314  it is our own
    assert f'src="{page_path}/qr.svg"' in page
    groups = re.findall(r"<span>([A-Z2-7]{4})</span>", page)
    assert "".join(groups) == offered_app(page).secret


async def test_an_offer_survives_a_reload_and_belongs_to_its_subject(visit: AccountVisit):
    await visit.sign_in()
    page = (await visit.get("/account/add/app")).headers["location"]
    first = offered_app((await visit.get(page)).text).secret
    assert offered_app((await visit.get(page)).text).secret == first

    async with app_over(visit.world.ports) as other:
        mallory = AccountVisit(other, visit.world)
        await mallory.sign_in("mallory")
        assert (await mallory.get(page)).headers["location"] == "/account/add/app"
        assert (await mallory.get(f"{page}/qr.svg")).status_code == 404


async def test_a_wrong_code_keeps_the_offer_and_what_was_typed(visit: AccountVisit):
    await visit.sign_in()
    page = (await visit.get("/account/add/app")).headers["location"]
    app = offered_app((await visit.get(page)).text)
    wrong = f"{(int(shown_now(app, visit.world)) + 1) % 1_000_000:06}"
    refused = await visit.submit(page, code=wrong, name="Work phone")
    assert refused.status_code == 422
    assert offered_app(refused.text).secret == app.secret
    assert 'value="Work phone"' in refused.text
    assert "right. Check that you scanned this picture" in refused.text

    missing = await visit.submit(page, code=" ")
    assert missing.status_code == 422
    assert "Type the code first" in missing.text


async def test_a_code_of_another_time_blames_the_clock(visit: AccountVisit):
    await visit.sign_in()
    page = (await visit.get("/account/add/app")).headers["location"]
    app = offered_app((await visit.get(page)).text)
    ahead = app.at(int(visit.world.clock.now().timestamp()) + 300)
    refused = await visit.submit(page, code=ahead)

    assert refused.status_code == 422
    assert "the clock of your phone is wrong" in refused.text


async def test_a_name_that_is_too_long_is_refused_without_losing_the_offer(visit: AccountVisit):
    await visit.sign_in()
    page = (await visit.get("/account/add/app")).headers["location"]
    app = offered_app((await visit.get(page)).text)
    code = shown_now(app, visit.world)
    assert (await visit.submit(page, code=code, name="x" * 65)).status_code in {400, 422}

    assert (await visit.submit(page, code=code, name="ok")).status_code == 303


async def test_a_confirmed_offer_cannot_be_confirmed_again(visit: AccountVisit):
    await visit.sign_in()
    page = (await visit.get("/account/add/app")).headers["location"]
    shown = await visit.get(page)
    app = offered_app(shown.text)
    form = hidden_fields(shown.text) | {"code": shown_now(app, visit.world)}
    assert (await visit.post(page, **form)).status_code == 303
    again = await visit.post(page, **form)

    # There is an authenticator now, so a step-up is asked for first.
    assert "/oauth2/authorize" in again.headers["location"]
    assert await methods_of(visit.world) == [Method.TOTP]


# --- passkeys ---------------------------------------------------------------------------------


async def registration(visit: AccountVisit, passkey: SoftwareAuthenticator, lie: Lie | None = None):
    page = (await visit.get("/account/add/passkey")).text
    credential = json.dumps(passkey.register(passkey_options(page), lie or Lie()))
    return hidden_fields(page) | {"credential": credential}


async def test_the_first_passkey_needs_base_login_alone(visit: AccountVisit):
    await visit.sign_in()
    form = await registration(visit, SoftwareAuthenticator(origin=ISSUER))
    added = await visit.post("/account/add/passkey", **form, name="Laptop")

    assert added.headers["location"].startswith("/account?notice=added&name=Laptop")


async def test_a_registration_of_another_origin_is_refused(visit: AccountVisit):
    await visit.sign_in()
    form = await registration(
        visit, SoftwareAuthenticator(origin=ISSUER), Lie(origin="https://evil.example")
    )
    refused = await visit.post("/account/add/passkey", **form)

    assert refused.status_code == 422
    assert "Try another device or a security key" in refused.text
    assert await methods_of(visit.world) == []


async def test_a_used_registration_gets_a_new_request(visit: AccountVisit):
    await visit.sign_in()
    form = await registration(visit, SoftwareAuthenticator(origin=ISSUER), Lie(rp_id="evil"))
    assert (await visit.post("/account/add/passkey", **form)).status_code == 422
    expired = await visit.post("/account/add/passkey", **form)

    assert expired.status_code == 422
    assert "we made a new request" in expired.text
    assert passkey_options(expired.text)["challenge"]


async def test_somebody_else_s_passkey_is_refused(visit: AccountVisit):
    _, passkey = await visit.world.enroll_passkey("bob")
    await visit.sign_in()
    refused = await visit.post("/account/add/passkey", **await registration(visit, passkey))

    assert refused.status_code == 422
    assert await methods_of(visit.world) == []


@pytest.mark.parametrize("credential", ["{", "[]", "null", '{"id": 1}'])
async def test_a_credential_that_is_none_is_refused(visit: AccountVisit, credential: str):
    await visit.sign_in()
    form = await registration(visit, SoftwareAuthenticator(origin=ISSUER))
    refused = await visit.post("/account/add/passkey", **form | {"credential": credential})

    assert refused.status_code == 422


# --- rename and remove ------------------------------------------------------------------------


async def own_path(visit: AccountVisit, leaf: str) -> str:
    listed = (await visit.get("/account")).text
    return re.findall(rf'href="(/account/authenticators/[^"]+/{leaf})"', listed)[0]


async def test_an_authenticator_is_renamed(alice: AccountVisit):
    path = await own_path(alice, "rename")
    await alice.elevated(path)
    done = await alice.submit(path, name=" Work  phone ")
    assert done.headers["location"].startswith("/account?notice=renamed&name=Work+phone")

    assert "Work phone" in (await alice.get("/account")).text


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "Type a name first"), (" ", "Type a name first"), ("x" * 65, "too long")],
)
async def test_a_name_that_will_not_do_is_explained(alice: AccountVisit, name: str, said: str):
    path = await own_path(alice, "rename")
    await alice.elevated(path)
    refused = await alice.submit(path, name=name)

    assert refused.status_code == 422
    assert said in refused.text


async def test_markup_in_a_name_stays_text(alice: AccountVisit):
    path = await own_path(alice, "rename")
    await alice.elevated(path)
    await alice.submit(path, name="<script>alert(1)</script>")
    listed = (await alice.get("/account")).text

    assert "<script>alert" not in listed
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in listed


async def test_removing_the_only_one_says_what_it_means(alice: AccountVisit):
    path = await own_path(alice, "remove")
    await alice.elevated(path)
    assert "It is the only one you have" in (await alice.get(path)).text

    assert (await alice.submit(path)).status_code == 303
    assert await methods_of(alice.world) == []


async def test_what_became_the_last_one_after_the_page_was_shown_is_asked_about_again(
    alice: AccountVisit,
):
    subject = alice.world.subject()
    await alice.world.enroll_app(name="Old phone")
    path = await own_path(alice, "remove")
    await alice.elevated(path)
    form = hidden_fields((await alice.get(path)).text)
    assert "accepted" not in form
    for other in await provision.list_authenticators(alice.world.ports, subject):
        if other.id not in path:
            await provision.remove(alice.world.ports, subject, other.id)

    asked = await alice.post(path, **form)
    assert asked.status_code == 409
    assert "It is the only one you have." in asked.text
    removed = await alice.post(path, **hidden_fields(asked.text))
    assert removed.status_code == 303
    assert await methods_of(alice.world) == []


async def test_a_removal_posted_twice_finds_nothing_the_second_time(alice: AccountVisit):
    await alice.world.enroll_app(name="Other phone")
    path = await own_path(alice, "remove")
    await alice.elevated(path)
    form = hidden_fields((await alice.get(path)).text)
    assert (await alice.post(path, **form)).status_code == 303
    again = await alice.post(path, **form)

    assert again.status_code == 404
    assert len(await methods_of(alice.world)) == 1


async def test_an_elevation_too_old_asks_again_and_comes_back(alice: AccountVisit):
    path = await own_path(alice, "remove")
    await alice.elevated(path)
    form = hidden_fields((await alice.get(path)).text)
    alice.world.clock.advance(timedelta(minutes=6))
    asked = await alice.post(path, **form)

    assert (await alice.step_up(asked)).headers["location"] == path
    assert await methods_of(alice.world) == [Method.TOTP]


@pytest.mark.parametrize("leaf", ["rename", "remove"])
async def test_somebody_else_s_authenticator_is_not_there(alice: AccountVisit, leaf: str):
    bobs = await alice.world.enroll_app("bob")
    await alice.elevated("/account/recovery-codes")
    path = f"/account/authenticators/{bobs.id}/{leaf}"
    form = hidden_fields((await alice.get("/account")).text)

    assert (await alice.get(path)).status_code == 404
    assert (await alice.post(path, **form | {"name": "Mine"})).status_code == 404


# --- elevation --------------------------------------------------------------------------------


async def test_a_cancelled_step_up_leads_to_the_list(alice: AccountVisit):
    where = await alice.challenge(await alice.get("/account/add/app"))
    cancelled = await alice.submit(where, f"{where}/cancel")
    back = await alice.get(cancelled.headers["location"])

    assert back.headers["location"] == "/account"
    assert (await alice.get("/account/add/app")).headers["location"].startswith(ISSUER)


async def test_an_elevation_cannot_be_brought_to_another_session(alice: AccountVisit):
    answered = await alice.answer(await alice.challenge(await alice.get("/account/add/app")))
    async with app_over(alice.world.ports) as other:
        second = AccountVisit(other, alice.world)
        await second.sign_in()
        assert (await second.get(answered.headers["location"])).status_code == 400


async def test_an_answer_of_another_issuer_is_no_answer(alice: AccountVisit):
    answered = await alice.answer(await alice.challenge(await alice.get("/account/add/app")))
    mixed = answered.headers["location"].replace(
        "iss=https%3A%2F%2Fstepup", "iss=https%3A%2F%2Fevil"
    )
    assert mixed != answered.headers["location"]

    assert (await alice.get(mixed)).status_code == 400


async def test_an_elevation_brought_back_signed_out_asks_to_sign_in(alice: AccountVisit):
    answered = await alice.answer(await alice.challenge(await alice.get("/account/add/app")))
    alice.http.cookies.delete("__Host-stepup-account")
    answer = await alice.get(answered.headers["location"])

    assert answer.status_code == 403
    assert "Please sign in again" in answer.text


# --- recovery codes ---------------------------------------------------------------------------


def codes_in(page: str) -> list[str]:
    return re.findall(r"<code>([A-Z2-7-]{19})</code>", page)


async def test_recovery_codes_are_shown_once_and_proved(alice: AccountVisit):
    await alice.elevated("/account/recovery-codes")
    shown = await alice.submit("/account/recovery-codes")
    codes = codes_in(shown.text)
    assert len(codes) == 10
    assert "prove first that you saved them" in (await alice.get("/account")).text

    form = hidden_fields(shown.text)
    wrong = await alice.post("/account/recovery-codes/confirm", **form, code="AAAA-AAAA")
    assert wrong.status_code == 422
    assert codes_in(wrong.text) == []
    missing = await alice.post("/account/recovery-codes/confirm", **form, code=" ")
    assert missing.status_code == 422
    right = await alice.post("/account/recovery-codes/confirm", **form, code=codes[0])
    assert right.headers["location"].startswith("/account?notice=recovery_ready")
    assert "9 of 10 left" in (await alice.get("/account")).text
    assert codes_in((await alice.get("/account/recovery-codes")).text) == []


async def test_a_new_set_warns_about_the_old_one(alice: AccountVisit):
    await alice.elevated("/account/recovery-codes")
    await alice.submit("/account/recovery-codes")

    assert (
        "stop working when you make new ones" in (await alice.get("/account/recovery-codes")).text
    )


async def test_making_codes_needs_a_step_up(alice: AccountVisit):
    form = hidden_fields((await alice.get("/account")).text)
    for asked in (
        await alice.get("/account/recovery-codes"),
        await alice.post("/account/recovery-codes", **form),
    ):
        assert "/oauth2/authorize" in asked.headers["location"]


async def test_confirming_codes_that_were_never_made_leads_to_making_them(alice: AccountVisit):
    form = hidden_fields((await alice.get("/account")).text)
    answer = await alice.post("/account/recovery-codes/confirm", **form, code="AAAA")

    assert answer.headers["location"] == "/account/recovery-codes"


async def test_guessing_recovery_codes_is_paused(alice: AccountVisit):
    await alice.elevated("/account/recovery-codes")
    form = hidden_fields((await alice.submit("/account/recovery-codes")).text)
    answers = [
        await alice.post("/account/recovery-codes/confirm", **form, code="AAAA") for _ in range(6)
    ]

    assert [a.status_code for a in answers] == [422] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_who_lost_the_app_enrolls_another_with_a_recovery_code(alice: AccountVisit):
    await alice.elevated("/account/recovery-codes")
    shown = await alice.submit("/account/recovery-codes")
    codes = codes_in(shown.text)
    await alice.post("/account/recovery-codes/confirm", **hidden_fields(shown.text), code=codes[0])
    # In another browser, which has seen nothing of the app.
    alice.http.cookies.clear()
    await alice.sign_in()
    where = await alice.challenge(await alice.get("/account/add/app"))
    answered = await alice.submit(f"{where}/recovery", code=codes[1].lower().replace("-", " "))
    back = await alice.get(answered.headers["location"])

    assert back.headers["location"] == "/account/add/app"
    assert (await alice.get("/account/add/app")).status_code == 303


# --- every page -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/account", "/account/add", "/account/signed-out"])
@pytest.mark.parametrize("language", available())
async def test_pages_speak_the_reader_s_language(alice: AccountVisit, path: str, language: str):
    page = await alice.get(path, **{"accept-language": f"{language}-AT,xx;q=0.5"})

    assert f'<html lang="{language}"' in page.text


async def test_pages_carry_a_strict_policy_and_are_not_kept(alice: AccountVisit):
    page = await alice.get("/account")
    policy = page.headers["content-security-policy"]

    assert "form-action 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    scripts = re.findall(r"<script([^>]*)>", page.text)
    assert all("src=" in s or 'type="application/json"' in s for s in scripts)
    assert "style=" not in page.text


async def test_an_invented_notice_is_not_shown(alice: AccountVisit):
    page = await alice.get("/account?notice=invented&name=%3Cb%3Ecall+us%3C/b%3E")

    assert "call us" not in page.text


@pytest.mark.parametrize("proof", ["", "&proof=", "&proof=AAAA", "&proof=%E2%82%AC"])
async def test_attack_a_link_speaks_in_our_voice(alice: AccountVisit, proof: str):
    page = await alice.get(f"/account?notice=removed&name=%E2%80%AECall+us{proof}")

    assert page.status_code == 200
    assert "Call us" not in page.text
    assert "was removed" not in page.text


async def test_attack_the_proof_of_one_notice_says_another(alice: AccountVisit):
    path = await own_path(alice, "rename")
    await alice.elevated(path)
    where = (await alice.submit(path, name="Work phone")).headers["location"]
    assert "Work phone</strong> now" in (await alice.get(where)).text

    for forged in (where.replace("renamed", "removed"), where.replace("Work", "Your")):
        assert 'role="status"' not in (await alice.get(forged)).text
    async with app_over(alice.world.ports) as other:
        second = AccountVisit(other, alice.world)
        await second.sign_in()
        assert 'role="status"' not in (await second.get(where)).text


async def test_attack_a_query_longer_than_any_page_needs(alice: AccountVisit):
    for path in ("/account", "/account/login", "/oauth2/authorize"):
        assert (await alice.get(f"{path}?x={'a' * 9000}")).status_code == 400
