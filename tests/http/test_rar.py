"""RFC 9396 over HTTP: the action in the request, in the token, and in what is told of it."""

import json

import msgspec

from stepup.http.schemas import DETAILS_SCHEMA_PATH
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow, answer_in

PAYMENT = {
    "type": "stepup_action",
    "action": "payments.transfer",
    "properties": {"amount": "500.00", "payee": "ACME", "currency": "EUR"},
}


def details(*asked: dict) -> dict[str, str]:
    """What replaces a ticket in a pushed request."""
    return {"step_up_ticket": "", "authorization_details": json.dumps(asked)}


async def test_rfc9396_7_what_is_granted_is_in_the_answer_the_token_and_the_introspection(
    flow: Flow,
):
    pushed = await flow.push("", **details(PAYMENT))
    assert pushed.status_code == 201, pushed.text
    page = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    code = answer_in(await flow.type_code(page, flow.world.code()))["code"]

    answer = (await flow.redeem(code)).json()
    [granted] = answer["authorization_details"]
    assert (granted["type"], granted["action"], granted["once"]) == (
        "stepup_action",
        "payments.transfer",
        True,
    )
    token = {"token": answer["access_token"]}
    told = (await flow.http.post("/oauth2/introspect", data=token, auth=BANK)).json()
    assert told["authorization_details"] == [granted]

    consumed = await flow.consume(
        answer["access_token"], action="payments.transfer", bound_digest=granted["bound_digest"]
    )
    assert consumed.status_code == 200


async def test_the_subject_sees_the_values_that_the_details_say(flow: Flow):
    pushed = await flow.push("", **details(PAYMENT))
    page = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]

    shown = (await flow.http.get(page, follow_redirects=True)).text
    assert "ACME" in shown
    assert "500" in shown


async def test_rfc9396_5_an_unknown_type_is_invalid_authorization_details(flow: Flow):
    refused = await flow.push("", **details({"type": "payment_initiation"}))

    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_authorization_details"


async def test_details_that_nobody_can_decide_on_are_refused_before_anybody_signs_in(flow: Flow):
    site = msgspec.structs.replace(flow.world.site, base_login=True)
    unknown = PAYMENT | {"action": "nobody.knows"}
    unproved = {"subject_token": "", "subject_token_type": ""}
    async with app_over(flow.world.ports._replace(site=site)) as http:
        refused = await Flow(http, flow.world).push("", **details(unknown), **unproved)

    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_authorization_details"


async def test_the_schema_of_the_type_is_published(flow: Flow):
    answer = await flow.http.get(DETAILS_SCHEMA_PATH)

    schema = answer.json()
    assert schema["$id"] == "urn:stepup:schema:stepup-action:v1"
    asked = schema["$defs"]["ActionDetails"]
    assert set(asked["required"]) == {"type", "action"}
    assert asked["additionalProperties"] is False
    assert set(schema["$defs"]["GrantedAction"]["properties"]) == {
        "type",
        "action",
        "bound_digest",
        "once",
    }


async def test_rfc9396_10_the_metadata_names_the_type(flow: Flow):
    metadata = (await flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert metadata["authorization_details_types_supported"] == ["stepup_action"]
