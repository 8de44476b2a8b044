"""Requests that a browser brings by itself: an OpenID Connect client that knows nothing of us."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from stepup.domain.account import BaseIdentity
from stepup.domain.authorization_request import PARAMETERS
from stepup.domain.errors import InvalidSubjectTokenError
from stepup.domain.ids import Subject
from tests.http.conftest import app_over
from tests.http.flow import Flow, answer_in, code_in, hidden_fields
from tests.support.world import BANK_CALLBACK, IDP, PKCE_CHALLENGE, World

SECOND_LEVEL = "urn:stepup:acr:2"
ISSUER = "https://stepup.example"
HTML = {"accept": "text/html"}


def a_request(**changes: str) -> dict[str, str]:
    """What an ordinary client sends; a changed parameter that is empty is left out."""
    sent = {
        "response_type": "code",
        "client_id": "bank",
        "redirect_uri": BANK_CALLBACK,
        "scope": "openid",
        "state": "st-1",
        "nonce": "n-1",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "acr_values": SECOND_LEVEL,
    } | changes
    return {name: value for name, value in sent.items() if value}


class Visitor(Flow):
    """One browser that brings requests, and signs in at the upstream where it is sent there."""

    async def bring(self, **changes: str) -> httpx2.Response:
        return await self.http.get("/oauth2/authorize", params=a_request(**changes), headers=HTML)

    async def sign_in(self, sent: httpx2.Response, sub: str = "alice") -> httpx2.Response:
        assert sent.headers["location"].startswith(IDP), sent.headers["location"]
        query = {"state": state_of(sent), "code": sub}
        return await self.http.get("/account/login/callback", params=query, headers=HTML)

    async def prove(self, asking: httpx2.Response) -> httpx2.Response:
        where = asking.headers["location"]
        assert where.startswith("/c/"), where
        self.world.clock.advance(timedelta(seconds=30))
        return await self.type_code(where, self.world.code())

    async def answered(self, sub: str = "alice", **changes: str) -> httpx2.Response:
        """Go all the way: base login, ceremony, answer."""
        return await self.prove(await self.sign_in(await self.bring(**changes), sub))


def state_of(sent: httpx2.Response) -> str:
    return parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]


@pytest.fixture
async def visitor(http: httpx2.AsyncClient, world: World) -> Visitor:
    await world.enroll_app()
    world.snapshot.clients[world.bank.client_id] = msgspec.structs.replace(
        world.bank, pushed_only=False
    )
    return Visitor(http, world)


@pytest.fixture
async def another(world: World) -> AsyncIterator[Visitor]:
    """Another browser."""
    async with app_over(world.ports) as http:
        yield Visitor(http, world)


# --- the way there and back -------------------------------------------------------------------


async def test_a_client_that_knows_nothing_of_us_gets_its_code(visitor: Visitor):
    answered = await visitor.answered()
    told = answer_in(answered)
    assert (told["state"], told["iss"]) == ("st-1", ISSUER)
    assert (await visitor.redeem(told["code"])).status_code == 200


async def test_a_second_request_needs_neither_a_login_nor_a_ceremony(visitor: Visitor):
    await visitor.answered()
    assert "code" in answer_in(await visitor.bring())


async def test_a_sign_in_is_remembered_for_a_quarter_of_an_hour(visitor: Visitor):
    await visitor.sign_in(await visitor.bring())
    visitor.world.clock.advance(timedelta(minutes=15, seconds=-1))
    assert (await visitor.bring()).headers["location"].startswith("/c/")
    visitor.world.clock.advance(timedelta(seconds=1))
    assert (await visitor.bring()).headers["location"].startswith(IDP)


async def test_prompt_login_asks_for_the_ceremony_again_and_does_not_loop(visitor: Visitor):
    await visitor.answered()
    asking = await visitor.bring(prompt="login")
    assert "code" in answer_in(await visitor.prove(asking))


async def test_select_account_lets_the_subject_sign_in_as_somebody_else(visitor: Visitor):
    await visitor.answered()
    await visitor.world.enroll_app("bob")
    asking = await visitor.sign_in(await visitor.bring(prompt="select_account"), "bob")
    assert asking.headers["location"].startswith("/c/")


async def test_oidc_core_3_1_2_1_authorization_servers_must_support_get_and_post(
    visitor: Visitor,
):
    await visitor.answered()
    posted = await visitor.http.post("/oauth2/authorize", data=a_request(), headers=HTML)
    # A post from another site comes without our cookies; the redirect comes with them.
    assert posted.status_code == 303
    assert "set-cookie" not in posted.headers
    assert "bank.example" not in posted.headers["location"]

    answered = await visitor.http.get(posted.headers["location"], headers=HTML)

    assert "code" in answer_in(answered)


async def test_a_pushed_request_may_be_posted_as_well(visitor: Visitor):
    pushed = await visitor.push(await visitor.ticket())
    query = {"client_id": "bank", "request_uri": pushed.json()["request_uri"], "acr_values": "x"}
    posted = await visitor.http.post("/oauth2/authorize", data=query)
    shown = await visitor.http.get(posted.headers["location"])
    assert shown.headers["location"].startswith("/c/")


async def test_a_posted_request_must_be_a_form(visitor: Visitor):
    refused = await visitor.http.post("/oauth2/authorize", json=a_request())
    assert refused.status_code == 400


async def test_a_posted_request_that_nobody_posted_is_refused(visitor: Visitor):
    for handle in ("", "r1.guessed"):
        query = {"request": handle}
        refused = await visitor.http.get("/oauth2/authorize/resume", params=query)
        assert refused.status_code == 400


async def test_attack_a_request_too_large_fills_no_store(visitor: Visitor):
    large = a_request(login_hint="x" * 20_000)
    refused = await visitor.http.post("/oauth2/authorize", data=large, headers=HTML)
    assert refused.status_code == 400


async def test_oidc_core_15_1_display_locales_and_unknown_parameters_are_no_error(visitor: Visitor):
    sent = await visitor.bring(
        display="wap", ui_locales="tlh xx-YY", claims_locales="tlh", utm_source="mail"
    )
    assert sent.headers["location"].startswith(IDP)


async def test_a_ticket_in_front_is_for_its_subject_and_survives_a_reload(visitor: Visitor):
    ticket = await visitor.ticket()
    changes = {"step_up_ticket": ticket, "acr_values": "", "scope": ""}
    asking = await visitor.sign_in(await visitor.bring(**changes))
    again = await visitor.bring(**changes)
    assert asking.headers["location"] == again.headers["location"]
    assert "code" in answer_in(await visitor.prove(asking))


async def test_attack_a_ticket_of_somebody_else_is_login_required(visitor: Visitor):
    ticket = await visitor.ticket()
    sent = await visitor.bring(step_up_ticket=ticket, acr_values="", scope="")
    told = answer_in(await visitor.sign_in(sent, "mallory"))
    assert told["error"] == "login_required"


# --- prompt=none and hints --------------------------------------------------------------------


async def test_oidc_core_3_1_2_6_prompt_none_of_an_unknown_subject_is_login_required(
    visitor: Visitor,
):
    told = answer_in(await visitor.bring(prompt="none"))
    assert told["error"] == "login_required"
    assert (told["state"], told["iss"]) == ("st-1", ISSUER)


async def test_prompt_none_of_a_known_subject_answers_or_asks_for_interaction(visitor: Visitor):
    asking = await visitor.sign_in(await visitor.bring())
    assert answer_in(await visitor.bring(prompt="none"))["error"] == "interaction_required"
    await visitor.prove(asking)
    assert "code" in answer_in(await visitor.bring(prompt="none"))


async def test_oidc_core_3_1_2_2_must_not_answer_for_a_different_user_than_the_hint_s(
    visitor: Visitor, another: Visitor
):
    redeemed = await visitor.redeem(code_in(await visitor.answered()))
    hint = redeemed.json()["id_token"]
    await visitor.world.enroll_app("bob")

    sent = await another.bring(id_token_hint=hint)
    told = answer_in(await another.sign_in(sent, "bob"))
    assert told["error"] == "login_required"

    # Who is remembered is not whom the hint names: so a login is tried first, but no page.
    assert (await another.bring(id_token_hint=hint)).headers["location"].startswith(IDP)
    silent = answer_in(await another.bring(id_token_hint=hint, prompt="none"))
    assert silent["error"] == "login_required"
    assert "code" in answer_in(await visitor.bring(id_token_hint=hint, prompt="none"))


async def test_a_login_hint_of_a_client_that_names_subjects_must_be_met(visitor: Visitor):
    visitor.world.add_client(
        "shop",
        redirect_uris=(BANK_CALLBACK,),
        audiences=("bank-api",),
        subject_issuer=IDP,
        pushed_only=False,
    )
    sent = await visitor.bring(client_id="shop", login_hint="alice")
    told = answer_in(await visitor.sign_in(sent, "bob"))
    assert told["error"] == "login_required"
    sent = await visitor.bring(client_id="shop", login_hint="alice")
    assert (await visitor.sign_in(sent)).headers["location"].startswith("/c/")


async def test_attack_whoever_is_called_like_the_hinted_subject_is_not_it(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
):
    visitor.world.add_client(
        "shop",
        redirect_uris=(BANK_CALLBACK,),
        audiences=("bank-api",),
        subject_issuer=IDP,
        pushed_only=False,
    )

    async def mallory(*_: object, **__: object) -> BaseIdentity:
        return BaseIdentity(subject=Subject(IDP, "mallory"), name="alice")

    monkeypatch.setattr(visitor.world.upstreams, "finish_login", mallory)
    sent = await visitor.bring(client_id="shop", login_hint="alice")
    assert answer_in(await visitor.sign_in(sent))["error"] == "login_required"


async def test_a_login_hint_of_an_ordinary_client_is_only_a_hint(visitor: Visitor):
    sent = await visitor.bring(login_hint="a.liddell@example.com")
    assert (await visitor.sign_in(sent)).headers["location"].startswith("/c/")


async def test_attack_a_base_login_of_another_subject_in_the_same_browser_is_not_the_proof(
    visitor: Visitor,
):
    await visitor.answered()
    await visitor.world.enroll_app("bob")
    asking = await visitor.sign_in(await visitor.bring(prompt="select_account"), "bob")
    # Bob is known now; what Alice proved here is not his.
    assert asking.headers["location"].startswith("/c/")
    assert (await visitor.bring()).headers["location"].startswith("/c/")


# --- errors: where they go --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"acr_values": "unknown"}, "unmet_authentication_requirements"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"request_uri": "https://client.example/r"}, "request_uri_not_supported"),
        ({"subject_token": "https://idp.example|alice"}, "invalid_request"),
        ({"id_token_hint": "forged"}, "invalid_request"),
        ({"step_up_ticket": "forged", "acr_values": ""}, "invalid_request"),
    ],
    ids=str,
)
async def test_rfc6749_4_1_2_1_errors_go_back_with_state_and_issuer(
    visitor: Visitor, changes: dict, error: str
):
    refused = await visitor.bring(**changes)
    assert refused.status_code == 303
    told = answer_in(refused)
    assert told["error"] == error
    assert (told["state"], told["iss"]) == ("st-1", ISSUER)


async def test_rfc6749_4_1_2_1_where_nobody_can_sign_in_the_client_is_told(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
):
    async def no_login(*_: object, **__: object) -> str:
        raise InvalidSubjectTokenError("there is no base login")

    monkeypatch.setattr(visitor.world.upstreams, "login_url", no_login)
    told = answer_in(await visitor.bring())

    assert told["error"] == "invalid_request"
    assert told["state"] == "st-1"


async def test_an_audience_that_is_not_the_client_s_goes_back_once_the_subject_is_known(
    visitor: Visitor,
):
    sent = await visitor.bring(resource="https://other.example")
    assert answer_in(await visitor.sign_in(sent))["error"] == "invalid_target"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{BANK_CALLBACK}/"},
        {"redirect_uri": f"{BANK_CALLBACK}?next=https://evil.example"},
        {"redirect_uri": f"{BANK_CALLBACK}@evil.example"},
        {"redirect_uri": BANK_CALLBACK.upper()},
        {"redirect_uri": "//evil.example"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_attack_open_redirect_rfc6749_4_1_2_1_must_not_redirect_to_an_invalid_uri(
    visitor: Visitor, method: str, changes: dict
):
    sent = a_request(**changes, prompt="none", response_mode="form_post")
    if method == "GET":
        refused = await visitor.http.get("/oauth2/authorize", params=sent, headers=HTML)
    else:
        refused = await visitor.http.post("/oauth2/authorize", data=sent, headers=HTML)
    if refused.headers.get("location", "").startswith("/oauth2/authorize/"):
        refused = await visitor.http.get(refused.headers["location"], headers=HTML)
    assert refused.status_code in {400, 403}
    assert "location" not in refused.headers
    assert "evil.example" not in refused.text
    assert "form-action 'self';" in refused.headers["content-security-policy"]


async def test_repeated_parameters_are_refused_on_a_page(visitor: Visitor):
    refused = await visitor.http.get(
        f"/oauth2/authorize?client_id=bank&redirect_uri={BANK_CALLBACK}&state=1&state=2",
        headers=HTML,
    )
    assert refused.status_code == 400


async def test_a_client_that_must_push_is_told_so(visitor: Visitor):
    visitor.world.add_client("strict", redirect_uris=(BANK_CALLBACK,), pushed_only=True)
    told = answer_in(await visitor.bring(client_id="strict"))
    assert told["error"] == "invalid_request"


async def test_rfc9700_2_6_no_cors_no_frames_no_referrer(visitor: Visitor):
    for answer in (
        await visitor.bring(),
        await visitor.bring(prompt="none"),
        await visitor.bring(prompt="none", response_mode="form_post"),
        await visitor.bring(client_id="nobody"),
    ):
        assert "access-control-allow-origin" not in answer.headers
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


# --- base login: attacks ----------------------------------------------------------------------


async def test_attack_login_csrf_a_login_of_another_browser_is_refused(
    visitor: Visitor, another: Visitor
):
    thief = await another.bring()
    await visitor.bring()
    query = {"state": state_of(thief), "code": "mallory"}
    refused = await visitor.http.get("/account/login/callback", params=query, headers=HTML)
    assert refused.status_code == 400
    assert "stepup-session" not in str(refused.headers.get_list("set-cookie"))
    assert (await visitor.bring()).headers["location"].startswith(IDP)


async def test_attack_a_login_is_good_for_one_return(visitor: Visitor):
    sent = await visitor.bring()
    await visitor.sign_in(sent)
    again = await visitor.sign_in(sent)
    assert again.status_code == 400


async def test_attack_what_the_url_says_on_the_way_back_is_not_believed(visitor: Visitor):
    sent = await visitor.bring()
    query = {"state": state_of(sent), "code": "alice"}
    forged = a_request(redirect_uri="https://evil.example/", state="")
    answered = await visitor.http.get(
        "/account/login/callback", params=forged | query, headers=HTML
    )
    back = answer_in(await visitor.prove(answered))
    assert back["state"] == "st-1"


async def test_two_tabs_sign_in_each_for_its_own_request(visitor: Visitor):
    one, other = await visitor.bring(state="one"), await visitor.bring(state="other")
    first = await visitor.sign_in(one)
    second = await visitor.sign_in(other)
    assert answer_in(await visitor.prove(first))["state"] == "one"
    visitor.world.clock.advance(timedelta(seconds=30))
    assert answer_in(await visitor.prove(second))["state"] == "other"


async def test_whoever_does_not_sign_in_is_told_to_the_client(visitor: Visitor):
    sent = await visitor.bring()
    query = {"state": state_of(sent), "error": "access_denied"}
    refused = await visitor.http.get("/account/login/callback", params=query, headers=HTML)
    told = answer_in(refused)
    assert told["error"] == "access_denied"
    assert (told["state"], told["iss"]) == ("st-1", ISSUER)

    unknown = await visitor.http.get(
        "/account/login/callback", params={"state": "made-up", "error": "x"}, headers=HTML
    )
    assert unknown.headers["location"] == "/account/signed-out"


async def test_a_sign_in_for_a_request_does_not_open_the_account_pages(visitor: Visitor):
    await visitor.sign_in(await visitor.bring())
    page = await visitor.http.get("/account", headers=HTML)
    assert page.headers["location"].startswith("/account/login")


# --- codes ------------------------------------------------------------------------------------


async def test_attack_code_substitution_a_code_is_one_client_s_and_one_request_s(
    visitor: Visitor, world: World
):
    world.add_client("shop", redirect_uris=(BANK_CALLBACK,))
    code = code_in(await visitor.answered())
    form = visitor.token_form(code)
    secret = "a-secret-of-full-entropy"
    stolen = await visitor.http.post("/oauth2/token", data=form, auth=("shop", secret))
    assert stolen.json()["error"] == "invalid_grant"
    # A code of another request does not fit the verifier that the client's own session keeps.
    other = await visitor.redeem(
        code, code_verifier="another-verifier-of-another-request-" + "x" * 12
    )
    assert other.json()["error"] == "invalid_grant"
    assert (await visitor.redeem(code)).status_code == 200


async def test_attack_mix_up_rfc9207_2_every_answer_names_its_issuer(visitor: Visitor):
    answers = [
        await visitor.bring(response_type="token"),
        await visitor.bring(prompt="none"),
        await visitor.answered(),
        await visitor.bring(prompt="none"),
    ]
    assert all(answer_in(answer)["iss"] == ISSUER for answer in answers)
    posted = await visitor.bring(prompt="none", response_mode="form_post")
    assert hidden_fields(posted.text)["iss"] == ISSUER


async def test_attack_code_injection_another_browser_does_not_see_the_challenge(
    visitor: Visitor, another: Visitor
):
    asking = await visitor.sign_in(await visitor.bring())
    await visitor.prove(asking)
    where = asking.headers["location"]
    stolen = await another.http.get(where, headers=HTML)
    assert stolen.status_code == 403
    assert "code=" not in stolen.text


def test_only_parameters_that_we_know_are_kept():
    assert "display" not in PARAMETERS
