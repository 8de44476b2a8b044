"""`/v1/step-ups`: decision and push in one call."""

from typing import Any

import httpx2
import pytest

from stepup.domain.client import Role
from tests.http.flow import BANK, ID_TOKEN, Flow, a_transfer, code_in
from tests.support.application import CLIENT_SECRET
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, World

PATH = "/v1/step-ups"


def a_request(world: World, amount: str = "500.00", **changes: Any) -> dict[str, Any]:
    request = a_transfer(amount) | {
        "redirect_uri": BANK_CALLBACK,
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "state": "st-1",
        "subject_token": world.subject_token(),
        "subject_token_type": ID_TOKEN,
    }
    return {k: v for k, v in (request | changes).items() if v is not None}


async def send(flow: Flow, **changes: Any) -> httpx2.Response:
    return await flow.http.post(PATH, json=a_request(flow.world, **changes), auth=BANK)


async def test_a_step_up_comes_with_everything_to_begin_it(flow: Flow):
    answer = await send(flow)
    begun = answer.json()

    assert answer.status_code == 201
    assert begun["outcome"] == "step_up"
    assert begun["acr"] == "urn:stepup:acr:2"
    assert begun["max_age"] == 900
    assert begun["methods"] == ["webauthn", "totp", "hotp"]
    assert begun["expires_in"] == 590
    assert begun["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert begun["policy_version"] == 1


async def test_the_url_leads_all_the_way(flow: Flow):
    url = (await send(flow)).json()["authorization_url"]
    where = (await flow.http.get(url)).headers["location"]
    code = code_in(await flow.type_code(where, flow.world.code()))

    assert (await flow.redeem(code)).status_code == 200


async def test_what_is_allowed_says_why_and_nothing_else(flow: Flow):
    answer = await send(flow, amount="50.00")

    assert answer.status_code == 200
    assert answer.json() == {"outcome": "allow", "reason": "not_required", "policy_version": 1}


async def test_what_is_denied_says_why(flow: Flow):
    answer = await send(flow, action={"name": "payments.forget"})

    assert answer.status_code == 200
    assert answer.json() == {"outcome": "deny", "reason": "unknown_action", "policy_version": 1}


async def test_an_approval_at_hand_is_enough(flow: Flow):
    token = await flow.token()
    answer = await send(flow, context={"elevated_token": token})

    assert answer.json()["reason"] == "already_satisfied"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"subject": "alice"}, "invalid_request"),
        ({"resource": None}, "invalid_request"),
        ({"surprise": 1}, "invalid_request"),
        ({"scope": '"'}, "invalid_scope"),
        ({"audience": "https://somebody-else.example"}, "invalid_target"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": "urn:other"}, "invalid_request"),
        ({"subject_token": "nobody"}, "invalid_subject_token"),
        ({"subject_token": "https://idp.example|mallory"}, "invalid_subject_token"),
        ({"state": 7}, "invalid_request"),
    ],
)
async def test_a_wrong_member_is_refused(flow: Flow, changes: dict, code: str):
    answer = await send(flow, **changes)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_client_without_challenges_may_not_begin_one(flow: Flow):
    flow.world.add_client("pep", roles=frozenset({Role.PEP}))
    answer = await flow.http.post(PATH, json=a_request(flow.world), auth=("pep", CLIENT_SECRET))

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_client")


async def test_every_request_has_a_ticket_of_its_own(flow: Flow):
    key = {"idempotency-key": "attempt-1"}
    answers = [
        await flow.http.post(PATH, json=a_request(flow.world), auth=BANK, headers=key)
        for _ in range(2)
    ]

    assert answers[0].json()["request_uri"] != answers[1].json()["request_uri"]
