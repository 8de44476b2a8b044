"""The main job over HTTP: decide, push, authorize, answer, redeem, introspect, consume, revoke."""

from tests.http.conftest import app_over
from tests.http.flow import BANK, ID_TOKEN, Flow, a_transfer, code_in
from tests.support.memory_challenges import Unheard
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, World


async def test_a_transfer_is_confirmed_with_an_authenticator_app(flow: Flow):
    token = await flow.token()
    assert await flow.is_active(token)
    consumed = await flow.consume(token)
    assert consumed.status_code == 200
    claims = consumed.json()
    assert claims["acr"] == "urn:stepup:acr:2"
    assert claims["amr"] == ["otp"]
    assert claims["aud"] == "bank-api"
    assert claims["authorization_details"][0]["action"] == "payments.transfer"
    assert not await flow.is_active(token)
    assert (await flow.consume(token)).status_code == 409


async def test_a_revoked_token_is_not_active(flow: Flow):
    token = await flow.token()
    revoked = await flow.http.post("/oauth2/revoke", data={"token": token}, auth=BANK)
    assert revoked.status_code == 200
    assert not await flow.is_active(token)


async def test_a_large_transfer_is_confirmed_with_a_passkey(flow: Flow, world: World):
    _, passkey = await world.enroll_passkey()
    request = a_transfer("5000.00") | {
        "redirect_uri": BANK_CALLBACK,
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "subject_token": world.subject_token(),
        "subject_token_type": ID_TOKEN,
    }
    begun = await flow.http.post("/v1/step-ups", json=request, auth=BANK)
    assert begun.status_code == 201
    authorized = await flow.http.get(begun.json()["authorization_url"])
    answered = await flow.touch(authorized.headers["location"], passkey)
    redeemed = await flow.redeem(code_in(answered))
    claims = (await flow.consume(redeemed.json()["access_token"])).json()
    assert claims["acr"] == "phr"
    assert set(claims["amr"]) == {"hwk", "user", "mfa"}


async def test_the_token_says_the_level_that_the_ceremony_reached(flow: Flow, world: World):
    _, passkey = await world.enroll_passkey()
    answered = await flow.touch(await flow.opened("500.00"), passkey)
    redeemed = await flow.redeem(code_in(answered))
    claims = (await flow.consume(redeemed.json()["access_token"])).json()
    assert claims["acr"] == "phr"


async def test_what_was_approved_satisfies_the_decision_until_it_is_used_up(flow: Flow):
    token = await flow.token()
    request = a_transfer() | {"context": {"elevated_token": token}}
    again = await flow.http.post("/access/v1/evaluation", json=request, auth=BANK)
    assert again.json()["decision"] is True
    # A decision spends nothing, so whoever acts on a once-only token is told to use it up.
    assert [o["type"] for o in again.json()["context"]["obligations"]] == ["consume"]
    changed = a_transfer("501.00") | {"context": {"elevated_token": token}}
    other = await flow.http.post("/access/v1/evaluation", json=changed, auth=BANK)
    assert other.json()["decision"] is False
    await flow.consume(token)
    used = await flow.http.post("/access/v1/evaluation", json=request, auth=BANK)
    assert used.json()["decision"] is False


async def test_a_small_transfer_needs_nothing(flow: Flow):
    answer = await flow.http.post("/access/v1/evaluation", json=a_transfer("99.00"), auth=BANK)
    assert answer.json() == {"decision": True}


async def test_after_a_503_a_client_without_idempotency_keys_redeems_its_code(world: World):
    unheard = Unheard(world.clock)
    world.ports = world.ports._replace(state=world.ports.state._replace(challenges=unheard))
    await world.enroll_app()
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        code = await flow.code()
        answers = [await flow.redeem(code) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 200, 400]
        assert answers[0].headers["retry-after"]


async def test_after_a_503_a_code_belongs_to_the_key_that_it_was_redeemed_with(world: World):
    unheard = Unheard(world.clock)
    world.ports = world.ports._replace(state=world.ports.state._replace(challenges=unheard))
    await world.enroll_app()
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        code, named = await flow.code(), {"idempotency-key": "1"}
        assert (await flow.redeem(code, named)).status_code == 503
        assert (await flow.redeem(code)).json()["error"] == "invalid_grant"
        assert (await flow.redeem(code, named)).status_code == 200
