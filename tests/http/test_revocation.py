"""`/oauth2/revoke`, clause by clause (RFC 7009)."""

from urllib.parse import urlsplit

import pytest

from stepup.usecases import provision, revoke
from tests.http.flow import BANK, Flow, code_in
from tests.http.test_refresh import OFFLINE, refresh
from tests.http.test_status_lists import said
from tests.http.test_tokens_given import change_bank, given, read
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


async def refreshed(flow: Flow) -> tuple[dict, dict]:
    """Get an access token with a refresh token, and the next two with that."""
    await flow.world.enroll_app()
    change_bank(flow, refresh_tokens=True)
    first = await given(flow, **OFFLINE)
    return first, (await refresh(flow, first["refresh_token"])).json()


async def test_rfc7009_2_1_with_a_refresh_token_end_the_access_tokens_of_its_grant(flow: Flow):
    first, second = await refreshed(flow)
    answer = await flow.http.post(PATH, data={"token": second["refresh_token"]}, auth=BANK)
    assert (answer.status_code, answer.content) == (200, b"")
    for given_ in (first, second):
        assert not await flow.is_active(given_["access_token"])
        assert await status_of(flow, given_["access_token"]) == 1
    again = await refresh(flow, second["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("what", ["subject", "client", "authenticator", "removal"])
async def test_a_refresh_token_ends_with_what_its_ceremony_stood_on(flow: Flow, what: str):
    ports = flow.world.ports
    first, second = await refreshed(flow)
    async with ports.database.transaction() as stores:
        apps = await stores.authenticators.of_subject(flow.world.subject())
    match what:
        case "subject":
            await revoke.revoke_subject(ports, flow.world.subject().id)
        case "client":
            await revoke.revoke_client(ports, flow.world.bank.client_id)
        case "authenticator":
            for app in apps:
                await revoke.revoke_authenticator(ports, flow.world.subject().id, app.id)
        case _:
            for app in apps:
                await provision.remove(ports, flow.world.subject(), app.id)
    assert (await refresh(flow, second["refresh_token"])).json()["error"] == "invalid_grant"
    for given_ in (first, second):
        assert not await flow.is_active(given_["access_token"])
        assert await status_of(flow, given_["access_token"]) == 1


async def status_of(flow: Flow, token: str) -> int:
    listed = read(token)["status"]["status_list"]
    return await said(flow.http, urlsplit(listed["uri"]).path, listed["idx"])
