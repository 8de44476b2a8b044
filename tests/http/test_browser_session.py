"""A browser that has proved who its subject is: asked again only when that is not enough."""

from datetime import timedelta

import httpx2
import pytest

from stepup.usecases.revoke import revoke_subject
from tests.http.conftest import app_over
from tests.http.flow import Flow, answer_in, code_in, hidden_fields
from tests.support.world import World

SECOND_LEVEL = "urn:stepup:acr:2"
SESSION = "__Host-stepup-session"


async def asked(flow: Flow, **changes: str) -> httpx2.Response:
    """Ask for level 2 by PAR and bring the browser; a changed parameter that is empty is left out."""
    pushed = await flow.push("", step_up_ticket="", acr_values=SECOND_LEVEL, **changes)
    assert pushed.status_code == 201, pushed.text
    return await flow.authorize(pushed.json()["request_uri"])


async def proved(flow: Flow, **changes: str) -> httpx2.Response:
    """Pass a ceremony in this browser."""
    flow.world.clock.advance(timedelta(seconds=30))
    asking = await asked(flow, **changes)
    where = asking.headers["location"]
    assert where.startswith("/c/"), where
    return await flow.type_code(where, flow.world.code())


async def claims_of(flow: Flow, answer: httpx2.Response) -> dict:
    token = (await flow.redeem(code_in(answer))).json()["access_token"]
    told = await flow.http.post(
        "/oauth2/introspect", data={"token": token}, auth=("bank", "a-secret-of-full-entropy")
    )
    return told.json()


def is_asked(response: httpx2.Response) -> bool:
    return response.status_code == 303 and response.headers["location"].startswith("/c/")


async def test_a_second_action_within_the_window_asks_nothing(flow: Flow):
    first = await claims_of(flow, await proved(flow))
    flow.world.clock.advance(timedelta(minutes=14))

    second = await claims_of(flow, await asked(flow))

    assert second["acr"] == first["acr"]
    assert second["amr"] == first["amr"]
    # RFC 9470 section 6.1: fixed when the subject authenticated, and never newer.
    assert second["auth_time"] == first["auth_time"]
    assert second["jti"] != first["jti"]


async def test_past_the_window_the_subject_is_asked(flow: Flow):
    await proved(flow)
    flow.world.clock.advance(timedelta(minutes=15, seconds=1))
    assert is_asked(await asked(flow))


async def test_attack_a_stronger_level_is_not_satisfied_by_a_weaker_proof(flow: Flow):
    await proved(flow)
    await flow.world.enroll_passkey()
    pushed = await flow.push("", step_up_ticket="", acr_values="phr")
    assert is_asked(await flow.authorize(pushed.json()["request_uri"]))


async def test_what_is_bound_is_confirmed_each_time(flow: Flow):
    await proved(flow)
    where = await flow.opened("500.00")
    assert where.startswith("/c/")


async def test_oidc_core_3_1_2_1_max_age_0_is_satisfied_by_the_ceremony_of_this_request(
    flow: Flow,
):
    await proved(flow)
    answered = await proved(flow, max_age="0")
    assert (await claims_of(flow, answered))["active"]


async def test_oidc_core_3_1_2_3_prompt_login_must_reauthenticate_and_does_not_loop(flow: Flow):
    await proved(flow)
    answered = await proved(flow, prompt="login")
    assert "code" in answer_in(answered)


async def test_a_max_age_of_the_request_counts(flow: Flow):
    await proved(flow)
    flow.world.clock.advance(timedelta(seconds=61))
    assert not is_asked(await asked(flow, max_age="120"))
    assert is_asked(await asked(flow, max_age="60"))


async def test_attack_a_session_in_another_browser_proves_nothing(flow: Flow, world: World):
    await proved(flow)
    async with app_over(world.ports) as another:
        assert is_asked(await asked(Flow(another, world)))


async def test_attack_a_session_of_another_subject_in_the_same_browser_is_never_used(flow: Flow):
    await proved(flow)
    await flow.world.enroll_app("bob")
    assert is_asked(await asked(flow, subject_token=flow.world.subject_token("bob")))


async def test_attack_session_fixation_a_planted_cookie_gets_nothing(flow: Flow, world: World):
    async with app_over(world.ports) as thief:
        await thief.get("/account/login")
        planted = {"__Host-stepup": "planted-browser", SESSION: "planted-session"}
        flow.http.cookies.update(planted)
        await proved(flow)
        thief.cookies.update(planted)
        assert is_asked(await asked(Flow(thief, world)))


async def test_attack_a_revoked_subject_is_asked_again(flow: Flow):
    await proved(flow)
    await revoke_subject(flow.world.ports, flow.world.subject().id)
    assert is_asked(await asked(flow))


async def test_two_tabs_of_one_browser_are_answered_each_for_itself(flow: Flow):
    one, other = await asked(flow), await asked(flow)
    assert is_asked(one)
    assert is_asked(other)
    await flow.type_code(one.headers["location"], flow.world.code())

    flow.world.clock.advance(timedelta(seconds=30))
    late = await flow.type_code(other.headers["location"], flow.world.code())

    assert "code" in answer_in(late)


async def test_attack_code_injection_a_code_of_another_browser_s_session_is_not_redeemed_twice(
    flow: Flow,
):
    answered = await proved(flow)
    again = await asked(flow)
    assert code_in(answered) != code_in(again)
    wrong = await flow.redeem(code_in(again), code_verifier="x" * 43)
    assert wrong.json()["error"] == "invalid_grant"


async def test_the_session_s_cookie_is_tied_to_this_host(flow: Flow):
    answered = await proved(flow)
    cookies = answered.headers.get_list("set-cookie")
    kept = next(c for c in cookies if c.startswith(f"{SESSION}="))
    assert all(part in kept for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    assert "Domain" not in kept


async def test_signing_out_of_the_account_pages_ends_what_was_proved(flow: Flow):
    await proved(flow)
    begun = await flow.http.get("/account/login")
    state = httpx2.URL(begun.headers["location"]).params["state"]
    await flow.http.get("/account/login/callback", params={"state": state, "code": "alice"})
    page = await flow.http.get("/account")
    await flow.http.post("/account/sign-out", data=hidden_fields(page.text))
    assert is_asked(await asked(flow))


# --- prompt=none ------------------------------------------------------------------------------


async def test_oidc_core_3_1_2_1_prompt_none_answers_where_the_session_satisfies(flow: Flow):
    await proved(flow)
    answered = await asked(flow, prompt="none")
    assert "code" in answer_in(answered)


async def test_oidc_core_3_1_2_6_prompt_none_must_not_show_a_ceremony(flow: Flow):
    told = answer_in(await asked(flow, prompt="none"))
    assert told["error"] == "interaction_required"
    assert (told["state"], told["iss"]) == ("st-1", "https://stepup.example")


async def test_prompt_none_without_any_authenticator_is_unmet(flow: Flow):
    told = answer_in(
        await asked(flow, prompt="none", subject_token=flow.world.subject_token("new"))
    )
    assert told["error"] == "unmet_authentication_requirements"


async def test_prompt_none_that_comes_twice_shows_nothing_either(flow: Flow):
    await proved(flow)
    pushed = await flow.push("", step_up_ticket="", acr_values=SECOND_LEVEL, prompt="none")
    first = await flow.authorize(pushed.json()["request_uri"])
    again = await flow.authorize(pushed.json()["request_uri"])
    assert code_in(first) == code_in(again)

    await flow.redeem(code_in(first))
    late = answer_in(await flow.authorize(pushed.json()["request_uri"]))
    assert late["error"] == "invalid_request"


# --- consent ----------------------------------------------------------------------------------


async def consenting(flow: Flow, **changes: str) -> str:
    asking = await asked(flow, prompt="consent", **changes)
    where = asking.headers["location"]
    assert where.endswith("/consent"), where
    return where


async def test_prompt_consent_with_a_satisfied_session_asks_for_a_word_alone(flow: Flow):
    await proved(flow)
    where = await consenting(flow)
    page = await flow.http.get(where)
    assert page.status_code == 200
    assert "Do you agree" in page.text

    answered = await flow.http.post(where, data=hidden_fields(page.text))

    assert "code" in answer_in(answered)


async def test_without_a_session_the_ceremony_shows_all_there_is(flow: Flow):
    asking = await asked(flow, prompt="consent")
    assert not asking.headers["location"].endswith("/consent")


async def test_prompt_consent_that_is_cancelled_is_access_denied(flow: Flow):
    await proved(flow)
    where = await consenting(flow)
    form = hidden_fields((await flow.http.get(where)).text)
    left = await flow.http.post(where.replace("/consent", "/cancel"), data=form)
    assert answer_in(left)["error"] == "access_denied"


@pytest.mark.parametrize("token", ["", "forged"])
async def test_attack_consent_by_a_forged_form_is_refused(flow: Flow, token: str):
    await proved(flow)
    where = await consenting(flow)
    forged = await flow.http.post(where, data={"form_token": token or "x", "attempt": "a" * 16})
    assert forged.status_code == 400


async def test_a_word_that_comes_too_late_leads_to_the_ceremony(flow: Flow):
    await proved(flow)
    flow.world.clock.advance(timedelta(minutes=14))
    where = await consenting(flow)
    form = hidden_fields((await flow.http.get(where)).text)
    flow.world.clock.advance(timedelta(minutes=2))

    late = await flow.http.post(where, data=form)

    assert late.headers["location"] == where.removesuffix("/consent")
    again = await flow.http.get(where)
    assert again.headers["location"] == where.removesuffix("/consent")


# --- how the answer gets back -----------------------------------------------------------------


async def test_form_post_brings_the_code_in_a_form_that_sends_itself(flow: Flow):
    await proved(flow)
    answered = await asked(flow, response_mode="form_post")

    assert answered.status_code == 200
    fields = hidden_fields(answered.text)
    assert fields.keys() == {"code", "state", "iss"}
    assert 'action="https://bank.example/callback" data-su-continue' in answered.text
    assert "<button" in answered.text
    policy = answered.headers["content-security-policy"]
    assert "form-action https://bank.example;" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answered.headers["cache-control"] == "no-store"
    assert "location" not in answered.headers
    assert (await flow.redeem(fields["code"])).status_code == 200


async def test_form_post_brings_errors_too(flow: Flow):
    refused = await asked(flow, response_mode="form_post", prompt="none")
    fields = hidden_fields(refused.text)
    assert fields["error"] == "interaction_required"
    assert (fields["state"], fields["iss"]) == ("st-1", "https://stepup.example")


async def test_form_post_after_a_ceremony_and_after_a_cancellation(flow: Flow):
    answered = await proved(flow, response_mode="form_post", prompt="login")
    assert "code" in hidden_fields(answered.text)

    asking = await asked(flow, response_mode="form_post", prompt="login")
    where = asking.headers["location"]
    form = hidden_fields((await flow.http.get(f"{where}/code")).text)
    left = await flow.http.post(f"{where}/cancel", data=form)
    assert hidden_fields(left.text)["error"] == "access_denied"


async def test_form_post_of_whoever_never_asked_is_a_form_with_a_button(flow: Flow):
    asking = await asked(flow, response_mode="form_post")
    where = asking.headers["location"]
    form = hidden_fields((await flow.http.get(f"{where}/code")).text)
    told = await flow.http.post(f"{where}/report", data=form)
    assert hidden_fields(told.text)["error"] == "access_denied"
    assert "data-su-continue" not in told.text
