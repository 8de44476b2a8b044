"""`/oauth2/revoke`, clause by clause (RFC 7009)."""

import pytest

from tests.http.flow import BANK, Flow, code_in
from tests.support.application import CLIENT_SECRET
from tests.usecases.steps import kinds

PATH = "/oauth2/revoke"


@pytest.fixture
async def token(flow: Flow) -> str:
    return await flow.token()


async def test_rfc7009_2_2_answers_200_with_nothing_in_the_body(flow: Flow, token: str):
    answer = await flow.http.post(PATH, data={"token": token}, auth=BANK)
    assert (answer.status_code, answer.content) == (200, b"")
    assert not await flow.is_active(token)


@pytest.mark.parametrize("text", ["x", "a.b.c", "r1.AAAA.0.BBBB", "é", "x" * 5000])
async def test_rfc7009_2_2_an_unknown_token_is_no_error(flow: Flow, text: str):
    answer = await flow.http.post(PATH, data={"token": text}, auth=BANK)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_rfc7009_2_2_a_token_that_was_revoked_is_no_error(flow: Flow, token: str):
    for _ in range(2):
        answer = await flow.http.post(PATH, data={"token": token}, auth=BANK)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
async def test_rfc7009_2_1_a_wrong_hint_is_ignored(flow: Flow, token: str, hint: str):
    form = {"token": token, "token_type_hint": hint}
    assert (await flow.http.post(PATH, data=form, auth=BANK)).status_code == 200
    assert not await flow.is_active(token)


@pytest.mark.parametrize("auth", [None, ("bank", "wrong"), ("nobody", CLIENT_SECRET)])
async def test_rfc7009_2_1_the_client_authenticates(flow: Flow, token: str, auth):
    answer = await flow.http.post(PATH, data={"token": token}, auth=auth)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await flow.is_active(token)


async def test_rfc7009_2_1_a_token_is_required(flow: Flow):
    answer = await flow.http.post(PATH, data={"token_type_hint": "access_token"}, auth=BANK)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("audiences", [("shop-api",), ("bank-api",)])
async def test_rfc7009_2_1_another_client_s_token_goes_on(flow: Flow, token: str, audiences):
    """Also where it is meant for the caller: a resource server does not end what it is shown."""
    flow.world.add_client("shop", audiences=audiences)
    answer = await flow.http.post(PATH, data={"token": token}, auth=("shop", CLIENT_SECRET))
    assert (answer.status_code, answer.content) == (200, b"")
    assert await flow.is_active(token)
    assert "token.revoked" not in await kinds(flow.world.ports)


async def test_rfc7009_2_2_1_an_id_token_cannot_be_revoked(flow: Flow):
    pushed = await flow.push(await flow.ticket(), scope="openid")
    page = await flow.authorize(pushed.json()["request_uri"])
    answered = await flow.type_code(page.headers["location"], flow.world.code())
    redeemed = (await flow.redeem(code_in(answered))).json()
    answer = await flow.http.post(PATH, data={"token": redeemed["id_token"]}, auth=BANK)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")
    assert await flow.is_active(redeemed["access_token"])


async def test_rfc7009_2_a_query_is_no_body(flow: Flow, token: str):
    answer = await flow.http.post(f"{PATH}?token={token}", data={"x": "y"}, auth=BANK)
    assert answer.status_code == 400
    assert await flow.is_active(token)
