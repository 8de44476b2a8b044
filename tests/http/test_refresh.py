"""Refresh tokens over HTTP: as a client of the standard uses them, and as a thief does."""

from datetime import timedelta

import httpx2
import pytest

from tests.http.flow import BANK, Flow
from tests.http.test_tokens_given import LEVEL_ALONE, change_bank, given, proved, read
from tests.support.dpop import ProofKey

OFFLINE = {"scope": "openid accounts offline_access", **LEVEL_ALONE}


@pytest.fixture(autouse=True)
async def enrolled(flow: Flow) -> None:
    await flow.world.enroll_app()
    change_bank(flow, refresh_tokens=True)


async def refresh(
    flow: Flow, text: str, headers: dict[str, str] | None = None, **changes: str
) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": text} | changes
    form = {name: value for name, value in form.items() if value}
    return await flow.http.post("/oauth2/token", data=form, auth=BANK, headers=headers)


async def test_rfc6749_6_a_refresh_token_gives_an_access_token_and_the_next(flow: Flow):
    first = await given(flow, **OFFLINE)
    flow.world.clock.advance(timedelta(minutes=1))
    answer = await refresh(flow, first["refresh_token"])

    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["refresh_token"] != first["refresh_token"]
    assert body["scope"] == "openid accounts offline_access"
    assert body["token_type"] == "Bearer"
    old, new = read(first["access_token"]), read(body["access_token"])
    assert [new[name] for name in ("acr", "amr", "auth_time")] == [
        old[name] for name in ("acr", "amr", "auth_time")
    ]
    assert new["jti"] != old["jti"]
    assert read(body["id_token"])["sub"] == read(first["id_token"])["sub"]
    assert await flow.is_active(body["access_token"])


async def test_rfc9700_4_14_2_reuse_ends_everything(flow: Flow):
    first = await given(flow, **OFFLINE)
    second = (await refresh(flow, first["refresh_token"])).json()
    stolen = await refresh(flow, first["refresh_token"])

    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await refresh(flow, second["refresh_token"])).json()["error"] == "invalid_grant"
    for body in (first, second):
        assert not await flow.is_active(body["access_token"])


async def test_the_same_attempt_gets_the_same_and_for_another_wish_it_is_another(flow: Flow):
    first = await given(flow, **OFFLINE)
    named = {"idempotency-key": "a1"}
    once = await refresh(flow, first["refresh_token"], named)
    again = await refresh(flow, first["refresh_token"], named)
    assert once.json()["refresh_token"] == again.json()["refresh_token"]
    assert read(once.json()["access_token"]) == read(again.json()["access_token"])

    other = await refresh(flow, first["refresh_token"], named, scope="accounts")
    assert other.json()["error"] == "invalid_grant"
    assert not await flow.is_active(once.json()["access_token"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "payments"}, "invalid_scope"),
        ({"resource": "other-api"}, "invalid_target"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"refresh_token": "r1.x.r0.y"}, "invalid_grant"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
    ],
)
async def test_rfc6749_5_2_what_is_refused_uses_nothing_up(flow: Flow, changes: dict, error: str):
    first = await given(flow, **OFFLINE)
    refused = await refresh(flow, first["refresh_token"], **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert (await refresh(flow, first["refresh_token"])).status_code == 200


async def test_rfc6749_5_2_a_client_without_leave_is_unauthorized(flow: Flow):
    first = await given(flow, **OFFLINE)
    change_bank(flow, refresh_tokens=False)
    refused = await refresh(flow, first["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")


async def test_rfc7009_2_1_revoking_it_ends_what_it_gave(flow: Flow):
    first = await given(flow, **OFFLINE)
    form = {"token": first["refresh_token"], "token_type_hint": "access_token"}
    revoked = await flow.http.post("/oauth2/revoke", data=form, auth=BANK)

    assert revoked.status_code == 200
    assert not await flow.is_active(first["access_token"])
    assert (await refresh(flow, first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_introspection_does_not_take_it_for_an_access_token(flow: Flow):
    first = await given(flow, **OFFLINE)
    form = {"token": first["refresh_token"], "token_type_hint": "access_token"}
    answer = (await flow.http.post("/oauth2/introspect", data=form, auth=BANK)).json()
    assert answer["active"]
    assert {"token_type", "aud", "jti", "authorization_details"}.isdisjoint(answer)
    asked = {"authorization": f"Bearer {first['refresh_token']}"}
    assert (await flow.http.get("/oauth2/userinfo", headers=asked)).status_code == 401


async def test_rfc9449_5_a_refresh_is_bound_to_the_key_that_comes_with_it(flow: Flow):
    change_bank(flow, refresh_tokens=True, dpop_bound=True)
    pushed = await flow.push(await flow.ticket(), **OFFLINE)
    page = await flow.authorize(pushed.json()["request_uri"])
    answered = await flow.type_code(page.headers["location"], flow.world.code())
    code = answered.headers["location"].partition("code=")[2].partition("&")[0]
    key = ProofKey()
    first = (await flow.redeem(code, headers=proved(flow, key))).json()

    without = await refresh(flow, first["refresh_token"])
    assert without.json()["error"] == "invalid_dpop_proof"
    second = await refresh(flow, first["refresh_token"], proved(flow, key))
    assert second.json()["token_type"] == "DPoP"
    assert read(second.json()["access_token"])["cnf"] == {"jkt": key.jkt}
