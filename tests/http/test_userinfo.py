"""Userinfo: what an access token says of its subject, to whoever holds it."""

from datetime import timedelta

import pytest

from tests.http.flow import BANK, Flow
from tests.http.test_tokens_given import LEVEL_ALONE, given, proved, read
from tests.support.dpop import ProofKey

PATH = "/oauth2/userinfo"


@pytest.fixture(autouse=True)
async def enrolled(flow: Flow) -> None:
    await flow.world.enroll_app()


async def ask(flow: Flow, token: str, method: str = "GET", scheme: str = "Bearer", **more: str):
    headers = {"authorization": f"{scheme} {token}"} | more
    return await flow.http.request(method, PATH, headers=headers)


async def a_token(flow: Flow, scope: str = "openid") -> str:
    return (await given(flow, scope=scope, **LEVEL_ALONE))["access_token"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_oidc_core_5_3_get_and_post_say_who_the_subject_is(flow: Flow, method: str):
    token = await a_token(flow)
    answer = await ask(flow, token, method)

    assert answer.status_code == 200, answer.text
    claims = read(token)
    told = ("sub", "sub_id", "acr", "amr", "auth_time")
    assert answer.json() == {name: claims[name] for name in told}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


async def test_oidc_core_5_3_2_the_sub_is_that_of_the_id_token(flow: Flow):
    body = await given(flow, scope="openid", **LEVEL_ALONE)
    answer = await ask(flow, body["access_token"])
    assert answer.json()["sub"] == read(body["id_token"])["sub"]


@pytest.mark.parametrize("scope", ["", "accounts", "openid2"])
async def test_rfc6750_3_1_without_openid_it_is_insufficient_scope(flow: Flow, scope: str):
    answer = await ask(flow, await a_token(flow, scope))
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="openid"' in challenge


@pytest.mark.parametrize("token", ["x", "a.b.c", ""])
async def test_rfc6750_3_1_what_is_no_token_is_invalid_token(flow: Flow, token: str):
    answer = await ask(flow, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ('error="invalid_token"' in answer.headers["www-authenticate"]) is bool(token)


async def test_rfc6750_3_1_who_shows_nothing_is_told_of_no_error(flow: Flow):
    answer = await flow.http.get(PATH)
    assert answer.status_code == 401
    assert "error" not in answer.headers["www-authenticate"]


async def test_a_revoked_token_and_an_old_one_are_refused(flow: Flow):
    token = await a_token(flow)
    await flow.http.post("/oauth2/revoke", data={"token": token}, auth=BANK)
    assert (await ask(flow, token)).status_code == 401

    flow.world.clock.advance(timedelta(seconds=30))
    token = await a_token(flow)
    flow.world.clock.advance(timedelta(minutes=10))
    assert (await ask(flow, token)).status_code == 401


async def test_oauth21_5_2_a_token_in_a_query_or_a_form_is_not_read(flow: Flow):
    token = await a_token(flow)
    assert (await flow.http.get(PATH, params={"access_token": token})).status_code == 401
    assert (await flow.http.post(PATH, data={"access_token": token})).status_code == 401


async def test_an_id_token_is_no_access_token(flow: Flow):
    body = await given(flow, scope="openid", **LEVEL_ALONE)
    assert (await ask(flow, body["id_token"])).status_code == 401


async def bound(flow: Flow, key: ProofKey) -> str:
    pushed = await flow.push(await flow.ticket(), scope="openid", **LEVEL_ALONE)
    page = await flow.authorize(pushed.json()["request_uri"])
    answered = await flow.type_code(page.headers["location"], flow.world.code())
    code = answered.headers["location"].partition("code=")[2].partition("&")[0]
    return (await flow.redeem(code, headers=proved(flow, key))).json()["access_token"]


async def test_rfc9449_7_2_a_bound_token_needs_its_proof(flow: Flow):
    key, site = ProofKey(), flow.world.site
    token = await bound(flow, key)

    def proof(by: ProofKey, method: str = "GET") -> str:
        now = flow.world.clock.now()
        return by.proof(method, site.url(PATH), now, access_token=token)

    assert (await ask(flow, token)).status_code == 401
    assert (await ask(flow, token, scheme="DPoP")).status_code == 401
    assert (await ask(flow, token, scheme="DPoP", dpop=proof(ProofKey()))).status_code == 401
    right = await ask(flow, token, scheme="DPoP", dpop=proof(key))
    assert right.status_code == 200, right.text


async def test_oidc_core_5_3_scripts_of_any_origin_may_ask(flow: Flow):
    for answer in (await ask(flow, await a_token(flow)), await ask(flow, "x")):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
    preflight = await flow.http.options(
        PATH, headers={"origin": "https://a.example", "access-control-request-method": "GET"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert "DPoP" in preflight.headers["access-control-allow-headers"]


async def test_fapi2_5_2_no_script_may_ask_at_the_authorization_endpoint(flow: Flow):
    answer = await flow.authorize("urn:ietf:params:oauth:request_uri:r1.x.y")
    assert "access-control-allow-origin" not in answer.headers
